package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// Incidents are what operators have to look into.
type Incidents struct{ c *Client }

// List gives one page, the newest first. Filters: state, user, detector.
func (i Incidents) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Incident], error) {
	return list[api.Incident](ctx, i.c, "/incidents", f, c)
}

// All walks every page of List.
func (i Incidents) All(ctx context.Context, f Filter) iter.Seq2[api.Incident, error] {
	return all[api.Incident](ctx, i.c, "/incidents", f)
}

// Get gives one incident.
func (i Incidents) Get(ctx context.Context, id string) (api.Incident, error) {
	return get[api.Incident](ctx, i.c, at("incidents", id))
}

// Events gives one page of what an incident is about, the newest first.
func (i Incidents) Events(ctx context.Context, id string, c Cursor) (api.Page[api.Event], error) {
	return list[api.Event](ctx, i.c, at("incidents", id, "events"), nil, c)
}

// Close closes an incident with what was found out, and releases what it holds.
func (i Incidents) Close(ctx context.Context, id, note string) (api.Incident, error) {
	return send[api.Incident](ctx, i.c, http.MethodPost, at("incidents", id, "close"), api.IncidentClose{Note: note}, 0)
}
