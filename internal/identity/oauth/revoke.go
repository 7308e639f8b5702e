package oauth

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// revoke ends a token of the client that calls (RFC 7009). 200 says that the
// token is dead on every node; anything less is 503, and a repetition is safe
// (LC-07). Another client's token is as good as unknown, and unknown is 200.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	params, err := readForm(w, r)
	if err != nil {
		return err
	}
	c, err := s.authenticate(r, rl, params)
	if err != nil {
		return err
	}
	text := params.Get("token")
	if text == "" {
		return badRequest("token is missing")
	}
	if err := s.kill(r, rl, c, text); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	noStore(w.Header())
	w.WriteHeader(http.StatusOK)
	return nil
}

// kill ends the grant that a token is of, with all its tokens. Only a token of
// a grant that stands dies alone: the grant serves all requests of the client.
func (s *Server) kill(r *http.Request, rl *realm.Realm, c caller, text string) error {
	ctx, by := r.Context(), actor(r, c.Client)
	if strings.HasPrefix(text, grant.RefreshPrefix) {
		g, err := s.grants.KnowsRefresh(ctx, rl.Name, text)
		if err != nil || g.Client != c.ID {
			return err
		}
		return s.grants.Revoke(ctx, by, rl.Name, g.ID, "client")
	}
	t, err := s.tokens.Known(ctx, rl.Name, text)
	if fault.Is(err, fault.Unauthenticated) || err == nil && t.Client != c.ID {
		return nil
	}
	if err != nil {
		return err
	}
	web.Note(ctx, "grant", t.Grant)
	g, err := s.grants.Cached(ctx, rl.Name, t.Grant)
	if err != nil {
		return err
	}
	if g.Stands() {
		return s.grants.RevokeToken(ctx, by, rl.Name, c.ID, t.ID, t.Expires)
	}
	return s.grants.Revoke(ctx, by, rl.Name, g.ID, "client")
}
