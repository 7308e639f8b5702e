package client

import (
	"context"

	"github.com/cardea-id/cardea/api"
)

// Agents decide elsewhere by the policies and facts of the realm.
type Agents struct{ c *Client }

// List gives one page of them, as they said of themselves last.
func (a Agents) List(ctx context.Context, c Cursor) (api.Page[api.Agent], error) {
	return list[api.Agent](ctx, a.c, "/access/agents", nil, c)
}

// Config is what they are configured with.
func (a Agents) Config(ctx context.Context) (api.AgentConfig, error) {
	return get[api.AgentConfig](ctx, a.c, "/access/agents/config")
}
