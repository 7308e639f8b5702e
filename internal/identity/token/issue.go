package token

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/realm"
)

// Issue is the gate. It answers from memory and writes nothing, but for the
// first token after a grant's status list has closed. Call it outside of
// transactions.
//
// A refusal is fault.Forbidden and tells in its code what stood against it.
func (g *Gate) Issue(ctx context.Context, by audit.Actor, q Request) (Issued, error) {
	if err := g.log.Live(); err != nil {
		return Issued{}, err
	}
	// The position is read before the checks: whatever was cut off later than
	// what they could know refuses the token by this position.
	minted := g.log.Applied()
	var p passed
	if err := g.pass(ctx, q.Grant, &p); err != nil {
		return Issued{}, err
	}
	if err := p.permits(&q); err != nil {
		return Issued{}, err
	}
	if !p.open {
		var err error
		if p.grant, err = g.grants.Current(ctx, p.grant); err != nil {
			return Issued{}, err
		}
	}
	var t Token
	if err := g.compose(ctx, &p, &q, minted, &t); err != nil {
		return Issued{}, err
	}
	issued := Issued{Expires: t.Expires.Sub(t.Issued)}
	if err := g.mint(ctx, &p, &t, &q, &issued); err != nil {
		return Issued{}, err
	}
	g.log.Activity(t.Realm, by, audit.Activity{Action: "token.issue", Target: t.Grant, Data: audit.Details{"jti", t.ID, "client", t.Client}})
	return issued, nil
}

// Alive reports whether tokens could be issued under a grant now. A refusal is
// fault.Forbidden.
func (g *Gate) Alive(ctx context.Context, gr *grant.Grant) error {
	var p passed
	return g.pass(ctx, gr, &p)
}

// passed is a grant with all that it hangs on, every one found alive.
type passed struct {
	now    time.Time
	realm  *realm.Realm
	client *client.Client
	grant  *grant.Grant
	open   bool      // its status list gives out indexes: tokens may name the one it has
	until  time.Time // the earliest end of any of them
	above  []link    // the grants that it comes of, the nearest first
	actors []string  // who acts for the principal, the present one first
}

// link is one of the grants that another comes of, with its client.
type link struct {
	grant  *grant.Grant
	client *client.Client
}

// pass checks that everything the grant hangs on is alive, and the grant
// itself, and notes in p what it found and the earliest end. Without an error, and
// only so, p may be used. It is the caller's, so that it costs no memory.
func (g *Gate) pass(ctx context.Context, gr *grant.Grant, p *passed) error {
	p.now, p.grant, p.until = g.db.Now(), gr, gr.Expires
	if err := g.allAlive(ctx, p); err != nil {
		return refusal(err)
	}
	return nil
}

// allAlive asks of all that a grant hangs on, and last of the grant itself.
func (g *Gate) allAlive(ctx context.Context, p *passed) error {
	if err := g.realmAlive(ctx, p); err != nil {
		return err
	}
	if err := g.clientAlive(ctx, p); err != nil {
		return err
	}
	if err := g.principalAlive(ctx, p); err != nil {
		return err
	}
	if err := g.sessionAlive(ctx, p); err != nil {
		return err
	}
	if err := g.proofAlive(ctx, p, p.grant); err != nil {
		return err
	}
	if err := g.acts(ctx, p, p.grant); err != nil {
		return err
	}
	if err := g.parentAlive(ctx, p); err != nil {
		return err
	}
	if err := g.agreed(ctx, p.grant); err != nil {
		return err
	}
	return g.grantAlive(ctx, p)
}

func (g *Gate) realmAlive(ctx context.Context, p *passed) (err error) {
	if p.realm, err = g.Realms.ByName(ctx, p.grant.Realm); err != nil {
		return err
	}
	if p.realm.State != realm.Active {
		return fault.New(fault.Forbidden, "realm_inactive", "realm %q issues nothing", p.realm.Name)
	}
	return nil
}

func (g *Gate) clientAlive(ctx context.Context, p *passed) (err error) {
	if p.client, err = g.Clients.Live(ctx, p.grant.Realm, p.grant.Client); err != nil {
		return err
	}
	if !p.grant.Follows(p.client) {
		return dead("it was cut off when its client was disabled")
	}
	return nil
}

func (g *Gate) principalAlive(ctx context.Context, p *passed) error {
	who, err := g.Principals.Live(ctx, p.grant.Realm, p.grant.Principal)
	if err != nil {
		return err
	}
	if who.Era != p.grant.Era {
		return dead("its principal, or an owner of it, was suspended since")
	}
	p.bound(who.Until)
	return nil
}

func (g *Gate) sessionAlive(ctx context.Context, p *passed) error {
	if p.grant.Session == "" || p.grant.Offline {
		return nil
	}
	s, err := g.Sessions.Live(ctx, p.grant.Realm, p.grant.Session)
	if err != nil {
		return err
	}
	p.bound(s.Until())
	return nil
}

// proofAlive asks of the credential that a grant hangs on, if of any.
func (g *Gate) proofAlive(ctx context.Context, p *passed, gr *grant.Grant) error {
	if gr.Credential == "" {
		return nil
	}
	c, err := g.Credentials.Live(ctx, gr.Realm, gr.Credential)
	if err != nil {
		return err
	}
	p.bound(c.ExpiresAt)
	return nil
}

// acts notes who acts under a grant, who must be alive too and in the era that
// the grant was born in.
func (g *Gate) acts(ctx context.Context, p *passed, gr *grant.Grant) error {
	if gr.Actor == "" {
		return nil
	}
	who, err := g.Principals.Live(ctx, gr.Realm, gr.Actor)
	if err != nil {
		return err
	}
	if who.Era != gr.ActorEra {
		return dead("who acts, or an owner of it, was suspended since")
	}
	if len(p.actors) == MaxActors {
		return dead("too many act for one another")
	}
	p.actors = append(p.actors, gr.Actor)
	p.bound(who.Until)
	return nil
}

// MaxActors bounds how many may act for one another.
const MaxActors = 4

// parentAlive walks up the grants that this one comes of, and asks of each what
// is asked of the grant itself. Principal and session are the same for all.
func (g *Gate) parentAlive(ctx context.Context, p *passed) error {
	next := p.grant.Parent
	for range MaxAncestry {
		if next == "" {
			return nil
		}
		parent, err := g.grants.Cached(ctx, p.grant.Realm, next)
		if err != nil {
			return err
		}
		if err := g.ancestorAlive(ctx, p, parent); err != nil {
			return err
		}
		next = parent.Parent
	}
	return dead("it comes of too many others")
}

// MaxAncestry bounds how many grants may come of one another.
const MaxAncestry = 8

func (g *Gate) ancestorAlive(ctx context.Context, p *passed, gr *grant.Grant) error {
	c, err := g.Clients.Live(ctx, gr.Realm, gr.Client)
	if err != nil {
		return err
	}
	if !gr.Follows(c) {
		return dead("what it comes of was cut off when its client was disabled")
	}
	p.above = append(p.above, link{gr, c})
	p.bound(gr.Expires)
	if err := g.proofAlive(ctx, p, gr); err != nil {
		return err
	}
	if err := g.acts(ctx, p, gr); err != nil {
		return err
	}
	if err := g.agreed(ctx, gr); err != nil {
		return err
	}
	_, err = g.alive(ctx, gr, p.now)
	return err
}

// agreed asks of the consent that a grant rests on, if on any.
func (g *Gate) agreed(ctx context.Context, gr *grant.Grant) error {
	if !gr.Consent {
		return nil
	}
	c, err := g.grants.Consent(ctx, gr.Realm, gr.Principal, gr.Client)
	if err != nil {
		return err
	}
	// A consent given anew does not revive what the old one's end killed.
	if c == nil || c.Created.After(gr.Created) {
		return fault.New(fault.Forbidden, "consent_missing", "the consent that the grant rests on is gone")
	}
	return nil
}

func (g *Gate) grantAlive(ctx context.Context, p *passed) (err error) {
	p.open, err = g.alive(ctx, p.grant, p.now)
	return err
}

// alive asks of a grant alone, and tells whether its status list is open.
func (g *Gate) alive(ctx context.Context, gr *grant.Grant, now time.Time) (open bool, err error) {
	killed, open, err := g.grants.Status.Look(ctx, gr.Realm, gr.Status)
	if err != nil {
		return false, err
	}
	if killed || !gr.Alive(now) {
		return false, dead("it was revoked or has expired")
	}
	return open, nil
}

// bound notes that nothing may outlive t; zero is never.
func (p *passed) bound(t time.Time) {
	if !t.IsZero() && (p.until.IsZero() || t.Before(p.until)) {
		p.until = t
	}
}

// permits checks that what is asked for does not exceed what was granted, nor
// what the client may have today.
func (p *passed) permits(q *Request) error {
	for _, s := range q.Scopes {
		if !p.client.AllowsScope(s) {
			return fault.New(fault.Forbidden, "scope_exceeded", "client %q may not have scope %q", p.client.ID, s)
		}
		if !p.mayHave(s) {
			return fault.New(fault.Forbidden, "scope_exceeded", "the grant does not have every scope of %q", q.Scopes)
		}
	}
	if len(q.Audience) == 0 {
		return fault.New(fault.Forbidden, "audience_exceeded", "a token needs an audience")
	}
	for _, a := range q.Audience {
		if !p.mayReach(a) {
			return fault.New(fault.Forbidden, "audience_exceeded", "the grant does not reach %q", a)
		}
	}
	if err := p.detailed(q); err != nil {
		return err
	}
	if err := p.assured(); err != nil {
		return err
	}
	if !Meets(p.grant.ACR, q.ACR) {
		return fault.New(fault.Forbidden, "assurance_low", "assurance %q was reached where %q is demanded", p.grant.ACR, q.ACR)
	}
	return nil
}

// assured checks that what the person proved is as much as is demanded.
func (p *passed) assured() error {
	if least := p.least(); !Meets(p.grant.ACR, least) {
		return fault.New(fault.Forbidden, "assurance_low", "assurance %q was reached where client %q needs %q", p.grant.ACR, p.client.ID, least)
	}
	return nil
}

// least is the assurance that realm and client demand of people today, whatever
// path a grant came by and whatever they demanded then. Where the realm excuses
// some, for a time or on a remembered device, its demand is made at sign-ins
// only.
func (p *passed) least() string {
	if p.grant.Principal == p.client.Principal {
		return "" // it acts for itself
	}
	least, of := p.client.LeastACR, p.realm.Settings
	if of.EnrolGrace == 0 && of.RememberDevice == 0 && of.LeastACR != AAL1 && !Meets(least, of.LeastACR) {
		least = of.LeastACR
	}
	return least
}

// mayHave reports whether tokens of the grant may have a scope: it has it, and
// so has all that it comes of.
func (p *passed) mayHave(scope string) bool {
	has := func(l link) bool {
		return l.client.AllowsScope(scope) && (l.grant.Stands() || l.grant.Allows([]string{scope}))
	}
	return has(link{p.grant, p.client}) && !slices.ContainsFunc(p.above, func(l link) bool { return !has(l) })
}

// mayReach reports whether tokens of the grant may name an audience. The issuer
// itself is always one: it serves userinfo.
func (p *passed) mayReach(audience string) bool {
	if audience == p.realm.Issuer {
		return true
	}
	reaches := func(l link) bool {
		if l.grant.Stands() {
			return l.client.AllowsAudience(p.realm.Issuer, audience)
		}
		return slices.Contains(l.grant.Audience, audience)
	}
	return reaches(link{p.grant, p.client}) && !slices.ContainsFunc(p.above, func(l link) bool { return !reaches(l) })
}

// compose decides what the access token t says.
func (g *Gate) compose(ctx context.Context, p *passed, q *Request, minted audit.Position, t *Token) (err error) {
	if t.Subject, err = g.Subject(ctx, p.grant.Realm, p.client, p.grant.Principal); err != nil {
		return err
	}
	if t.Actors, err = g.actorsFor(ctx, p); err != nil {
		return err
	}
	p.bound(q.Until)
	var jti [16]byte
	rand.Read(jti[:])
	t.Realm, t.ID, t.Principal, t.Client, t.Grant = p.grant.Realm, base64.RawURLEncoding.EncodeToString(jti[:]), p.grant.Principal, p.client.ID, p.grant.ID
	t.Scopes, t.Audience, t.Bound, t.Details.Text = q.Scopes, q.Audience, q.Bound, q.Details
	t.ACR, t.AMR, t.AuthTime = p.grant.ACR, p.grant.AMR, p.grant.AuthTime
	t.Status, t.Minted = p.grant.Status, minted
	// Whole seconds, as the claims have them; the end is rounded down.
	t.Issued = second(p.now)
	t.Expires = p.end(p.now.Add(life(p.realm.Settings.AccessTokenTTL, p.client.AccessTokenLife())))
	if !p.now.Before(t.Expires) {
		return refusal(dead("it ends within the second"))
	}
	return nil
}

// end returns when something that wants to live until then may live: never past
// the earliest end of an ancestor. So deaths by time need no status bit.
func (p *passed) end(wanted time.Time) time.Time {
	if !p.until.IsZero() && p.until.Before(wanted) {
		wanted = p.until
	}
	return second(wanted)
}

// second is t without the fraction of its second, which Truncate would find by
// dividing all of it.
func second(t time.Time) time.Time { return t.Add(-time.Duration(t.Nanosecond())) }

func dead(why string) error {
	return fault.New(fault.Forbidden, "grant_dead", "the grant is dead: %s", why)
}

// refusal makes every no of the gate fault.Forbidden and leaves failures as
// they are: what cannot be found is as dead as what has died.
func refusal(err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unauthenticated) {
		return fault.New(fault.Forbidden, fault.Code(err), "%s", err.Error())
	}
	return err
}
