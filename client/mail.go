package client

import (
	"context"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// Mail is what the realm sends to people.
type Mail struct{ c *Client }

// Test has a letter sent that says that mail works. The job tells whether it
// does: see [Jobs.Get].
func (m Mail) Test(ctx context.Context, to string) (api.Job, error) {
	return send[api.Job](ctx, m.c, http.MethodPost, "/mail-tests", api.MailTest{To: to}, 0)
}
