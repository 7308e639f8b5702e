package kill

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
)

// A peopleMaker creates people one after the other. Acknowledged ones must be
// there afterwards (P-01); one whose answer was lost must be there wholly or
// not at all (P-02, held against the log by verifyLog).
type peopleMaker struct {
	*world
	name, count int
	made        []string
}

func (p *peopleMaker) work(ctx context.Context) {
	for ctx.Err() == nil {
		p.count++
		u, err := p.server.Admin.Users.Create(ctx, api.UserCreate{Emails: []api.Email{{Address: fmt.Sprintf("p%d-%d@example.com", p.name, p.count)}}})
		if err != nil {
			var problem *client.Problem
			if errors.As(err, &problem) {
				p.report(problem.Status, err)
			}
			return
		}
		p.made = append(p.made, u.ID)
	}
}

func (p *peopleMaker) verify(ctx context.Context) error {
	for _, id := range p.made {
		u, err := p.server.Admin.Users.Get(ctx, id)
		if err != nil {
			return fmt.Errorf("an acknowledged person is gone: %w", err)
		}
		if len(u.Emails) != 1 {
			return fmt.Errorf("half a person: %+v", u)
		}
		p.checked.people++
	}
	p.made = nil
	return nil
}

// A family rotates one refresh token as fast as it can.
type family struct {
	*world
	token   string
	unknown bool // the answer to the last use of token was lost
}

func (f *family) begin(ctx context.Context) error {
	code, err := f.code(ctx)
	if err != nil {
		return err
	}
	t, _, err := f.redeem(ctx, code)
	f.token, f.unknown = t.Refresh, false
	return err
}

func (f *family) work(ctx context.Context) {
	for ctx.Err() == nil {
		t, status, err := f.refresh(ctx, f.token)
		if err != nil {
			f.unknown = true
			f.report(status, err)
			return
		}
		f.token = t.Refresh
	}
}

// verify holds a family to P-06: the acknowledged successor works; after a lost
// answer the same client gets one and the same successor, however often it
// asks; and once that was used, going back kills the family.
func (f *family) verify(ctx context.Context) error {
	first, _, err := heeding(ctx, f.refresh, f.token)
	if err != nil {
		return fmt.Errorf("a refresh token that was acknowledged (answer lost after that: %v) is refused: %w", f.unknown, err)
	}
	again, _, err := heeding(ctx, f.refresh, f.token)
	if err != nil {
		return fmt.Errorf("the same client repeating is refused: %w", err)
	}
	if again.Refresh != first.Refresh {
		return errors.New("a refresh token has two successors")
	}
	next, _, err := heeding(ctx, f.refresh, first.Refresh)
	if err != nil {
		return fmt.Errorf("the successor is refused: %w", err)
	}
	if t, status, _ := heeding(ctx, f.refresh, f.token); !refused(t, status) {
		return fmt.Errorf("a refresh token used twice was answered %d", status)
	}
	if t, status, _ := heeding(ctx, f.refresh, next.Refresh); !refused(t, status) {
		return fmt.Errorf("the family survives reuse: %d", status)
	}
	f.checked.refreshes++
	return f.begin(ctx)
}

// A codeUser redeems codes. Those that were acknowledged must not work again,
// one whose answer was lost may work once more at most (P-05).
type codeUser struct {
	*world
	used, unknown []string
}

func (c *codeUser) work(ctx context.Context) {
	for ctx.Err() == nil {
		code, err := c.code(ctx)
		if err != nil {
			return
		}
		_, status, err := c.redeem(ctx, code)
		if err != nil {
			c.unknown = append(c.unknown, code)
			c.report(status, err)
			return
		}
		c.used = append(c.used, code)
	}
}

func (c *codeUser) verify(ctx context.Context) error {
	for _, code := range c.unknown {
		t, status, err := heeding(ctx, c.redeem, code)
		if err != nil && !refused(t, status) {
			return fmt.Errorf("a code whose answer was lost: %w", err)
		}
		if err == nil {
			c.used = append(c.used, code)
		}
	}
	for _, code := range c.used {
		if t, status, _ := heeding(ctx, c.redeem, code); !refused(t, status) {
			return fmt.Errorf("a code that was used is answered %d", status)
		}
		c.checked.codes++
	}
	c.used, c.unknown = nil, nil
	return nil
}

// A revoker ends grants. What was acknowledged stays dead over every later
// kill (P-01, P-10).
type revoker struct {
	*world
	dead []string // refresh tokens
}

func (r *revoker) work(ctx context.Context) {
	for ctx.Err() == nil {
		code, err := r.code(ctx)
		if err != nil {
			return
		}
		t, status, err := r.redeem(ctx, code)
		if err != nil {
			r.report(status, err)
			return
		}
		status, body, err := r.server.Post(ctx, "/oauth2/revoke", app, r.secret, url.Values{"token": {t.Refresh}})
		if err != nil || status != http.StatusOK {
			r.report(status, fmt.Errorf("revocation answered %d %s", status, body))
			return
		}
		r.dead = append(r.dead, t.Refresh)
	}
}

func (r *revoker) verify(ctx context.Context) error {
	// All of the newest, and a few of the oldest, so that rounds stay short.
	for i, token := range r.dead {
		if i > 10 && i < len(r.dead)-30 {
			continue
		}
		if t, status, _ := heeding(ctx, r.refresh, token); !refused(t, status) {
			return fmt.Errorf("a revoked token is answered %d", status)
		}
		r.checked.revocations++
	}
	return nil
}
