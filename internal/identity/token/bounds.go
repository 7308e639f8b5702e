package token

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/jose"
)

// Bounds is what may be had under a living grant, and so below it, at this
// moment.
type Bounds struct{ p *passed }

// Bounds finds a grant and all that it hangs on alive and tells what it allows.
// A refusal is fault.Forbidden.
func (g *Gate) Bounds(ctx context.Context, gr *grant.Grant) (Bounds, error) {
	p := new(passed)
	if err := g.pass(ctx, gr, p); err != nil {
		return Bounds{}, err
	}
	return Bounds{p}, nil
}

// Scope reports whether tokens may have a scope.
func (b Bounds) Scope(scope string) bool { return b.p.mayHave(scope) }

// Audience reports whether tokens may be for an audience.
func (b Bounds) Audience(audience string) bool { return b.p.mayReach(audience) }

// Actors is how many act for the principal.
func (b Bounds) Actors() int { return len(b.p.actors) }

// Depth is how many grants it comes of.
func (b Bounds) Depth() int { return len(b.p.above) }

// Identity is what an ID token of ours says when it is shown as a proof of who
// somebody is, and not as a hint.
type Identity struct {
	Client  string
	Grant   *grant.Grant
	Expires time.Time
}

// Identify reads an ID token of the realm that has not expired. Whether its grant
// is alive is for [Gate.Bounds] to say. Anything else is fault.Unauthenticated.
func (g *Gate) Identify(ctx context.Context, realm, value string) (Identity, error) {
	if err := g.log.Live(); err != nil {
		return Identity{}, err
	}
	r, err := g.Realms.ByName(ctx, realm)
	if err != nil {
		return Identity{}, err
	}
	keys, err := g.Ring.Verifiers(ctx, realm)
	if err != nil {
		return Identity{}, err
	}
	v, err := jose.Verify(value, jose.Want{Typ: []string{TypeID}, Keys: keys, MaxBytes: MaxBytes})
	if err != nil || !v.Claims.Has("at_hash") {
		return Identity{}, errIdentity
	}
	id := Identity{}
	var grantID string
	for name, to := range map[string]*string{"aud": &id.Client, "gid": &grantID} {
		if *to, err = v.Claims.String(name); err != nil || *to == "" {
			return Identity{}, errIdentity
		}
	}
	if err := v.Claims.Check(jose.Expect{Now: g.db.Now(), Issuer: r.Issuer, Audience: []string{id.Client}, AloneAud: true, NeedIssuedAt: true}); err != nil {
		return Identity{}, errIdentity
	}
	if id.Expires, err = v.Claims.Time("exp"); err != nil {
		return Identity{}, errIdentity
	}
	id.Grant, err = g.grants.Cached(ctx, realm, grantID)
	if fault.Is(err, fault.NotFound) || err == nil && id.Grant.Client != id.Client {
		return Identity{}, errIdentity
	}
	return id, err
}

var errIdentity error = fault.New(fault.Unauthenticated, "id_token_invalid", "the ID token is invalid, expired, or not one of this issuer")
