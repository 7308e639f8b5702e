package token

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// The one answer to a token that is no good. It does not tell a forged one from
// a revoked one.
var errInvalid error = fault.New(fault.Unauthenticated, "token_invalid", "the access token is invalid, expired or revoked")

// verified remembers whose signature was checked: the token by the SHA-256 of
// its text. All else about it is asked anew every time.
type verified = *cache.Cache[*Token]

func newVerified() verified {
	return cache.New("verified tokens", 32<<20, 16<<20, func(t *Token) int {
		return 768 + len(t.Details.Text) + 32*(len(t.Scopes)+len(t.Audience)+len(t.Actors))
	})
}

func (g *Gate) follow(r audit.Record) {
	switch {
	case strings.HasPrefix(r.Action, "signing_key."), strings.HasPrefix(r.Action, "realm."):
		g.verified.DropRealm(r.Realm)
		g.verified.DropRealm(r.Target)
	}
}

// Recognise tells what an access token of the realm says, if it may be
// believed now: its signature or seal is ours, it has not expired, no cut-off,
// status bit or jti stands against it, and principal, actors and client are alive. All
// that is in memory. Anything else is fault.Unauthenticated.
func (g *Gate) Recognise(ctx context.Context, realmName, value string) (*Token, error) {
	if err := g.log.Live(); err != nil {
		return nil, err
	}
	t, err := g.read(ctx, realmName, value)
	if err != nil {
		return nil, err
	}
	now := g.db.Now()
	if !now.Before(t.Expires) || t.Issued.After(now.Add(jose.MaxSkew)) {
		return nil, errInvalid
	}
	who, err := g.Principals.Live(ctx, realmName, t.Principal)
	if err != nil {
		return nil, invalid(err)
	}
	owners := who.Owners
	for _, id := range t.Actors {
		if !principal.ValidID(id) {
			continue // as a pairwise client knows it; the status bit dies with the grant
		}
		acting, err := g.Principals.Live(ctx, realmName, id)
		if err != nil {
			return nil, invalid(err)
		}
		owners = slices.Concat(owners, []string{id}, acting.Owners)
	}
	refused, err := g.grants.Status.Refuses(ctx, realmName, grant.Probe{Bit: t.Status, JTI: t.ID, Client: t.Client, Key: t.Key, Minted: t.Minted,
		Principal: t.Principal, Owners: owners})
	if err != nil {
		return nil, err
	}
	if refused {
		return nil, errInvalid
	}
	if _, err := g.Clients.Live(ctx, realmName, t.Client); err != nil {
		return nil, invalid(err)
	}
	return t, nil
}

// Known is Recognise for revocation: it tells what an access token of the realm
// says whether or not it is still alive, so that who revokes it again waits
// like the first time.
func (g *Gate) Known(ctx context.Context, realm, value string) (*Token, error) {
	return g.read(ctx, realm, value)
}

// Ours reports whether a text is sure to be an access token of the realm, from
// memory. It says nothing about whether that is alive, and may not know.
func (g *Gate) Ours(realm, value string) bool {
	if len(value) > MaxBytes {
		return false
	}
	if strings.HasPrefix(value, OpaquePrefix) {
		return true
	}
	sum := sumOf(value)
	_, known := g.verified.PeekBytes(realm, sum[:])
	return known
}

// read takes a token apart and checks that it is ours.
func (g *Gate) read(ctx context.Context, realmName, value string) (*Token, error) {
	if len(value) > MaxBytes {
		return nil, errInvalid
	}
	r, err := g.Realms.ByName(ctx, realmName)
	if err != nil {
		return nil, err
	}
	if r.State != realm.Active {
		return nil, errInvalid
	}
	if strings.HasPrefix(value, OpaquePrefix) {
		return g.open(ctx, realmName, value)
	}
	sum := sumOf(value)
	if t, known := g.verified.PeekBytes(realmName, sum[:]); known {
		return t, nil // as it mostly is
	}
	return g.verified.Get(realmName, string(sum[:]), func() (*Token, error) { return g.verify(ctx, r, value) })
}

// sumOf is the SHA-256 of a token. Those of the usual length are copied to the
// stack for it, not to the heap.
func sumOf(value string) [sha256.Size]byte {
	var space [1024]byte
	return sha256.Sum256(append(space[:0], value...))
}

// verify checks the signature of a JWT and reads its claims.
func (g *Gate) verify(ctx context.Context, r *realm.Realm, value string) (*Token, error) {
	keys, err := g.Ring.Verifiers(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	v, err := jose.Verify(value, jose.Want{Typ: []string{TypeAccess}, Keys: keys, MaxBytes: MaxBytes})
	if err != nil {
		return nil, errInvalid
	}
	t, err := readClaims(r, v)
	if err != nil {
		return nil, errInvalid
	}
	if t.Principal = t.Subject; !principal.ValidID(t.Subject) {
		// A pairwise subject: only the grant knows who it is.
		gr, err := g.grants.Cached(ctx, r.Name, t.Grant)
		if err != nil {
			return nil, invalid(err)
		}
		t.Principal = gr.Principal
	}
	return t, nil
}

// readClaims reads the claims that appendClaims wrote. All that are always
// there must be there.
func readClaims(r *realm.Realm, v *jose.Verified) (*Token, error) {
	t := &Token{Realm: r.Name, Key: v.Kid}
	var issuer, scope, minted string
	for name, to := range map[string]*string{"iss": &issuer, "sub": &t.Subject, "jti": &t.ID, "client_id": &t.Client, "gid": &t.Grant,
		"scope": &scope, "mpos": &minted, "acr": &t.ACR} {
		var err error
		if *to, err = v.Claims.String(name); err != nil {
			return nil, err
		}
	}
	for name, to := range map[string]*time.Time{"exp": &t.Expires, "iat": &t.Issued, "auth_time": &t.AuthTime} {
		var err error
		if *to, err = v.Claims.Time(name); err != nil {
			return nil, err
		}
	}
	for name, to := range map[string]*[]string{"aud": &t.Audience, "amr": &t.AMR} {
		var err error
		if *to, err = v.Claims.Strings(name); err != nil {
			return nil, err
		}
	}
	at, err := audit.ParsePosition(minted)
	if err != nil {
		return nil, err
	}
	t.Minted, t.Scopes = at, strings.Fields(scope)
	if issuer != r.Issuer || t.Subject == "" || t.ID == "" || t.Client == "" || t.Grant == "" || t.Expires.IsZero() || t.Issued.IsZero() || len(t.Audience) == 0 {
		return nil, errInvalid
	}
	if t.Bound, err = readBinding(v.Claims); err != nil {
		return nil, err
	}
	if t.Actors, err = readActors(v.Claims.Object); err != nil {
		return nil, err
	}
	if t.Details, err = readDetails(v.Claims); err != nil {
		return nil, err
	}
	t.Status, err = readStatus(r.Issuer, v.Claims)
	return t, err
}

func readStatus(issuer string, c jose.Claims) (audit.Bit, error) {
	status, err := c.Object.Object("status")
	if err != nil {
		return audit.Bit{}, err
	}
	ref, err := status.Object("status_list")
	if err != nil {
		return audit.Bit{}, err
	}
	uri, err := ref.String("uri")
	if err != nil {
		return audit.Bit{}, err
	}
	list, ours := strings.CutPrefix(uri, statuslist.URI(issuer, ""))
	if !ours || !ref.Has("idx") {
		return audit.Bit{}, errInvalid
	}
	index, err := ref.Int("idx")
	return audit.Bit{List: list, Index: index}, err
}

// invalid turns what is dead or gone into the one answer, and leaves failures
// as they are.
func invalid(err error) error {
	for _, kind := range []fault.Kind{fault.NotFound, fault.Forbidden, fault.Unauthenticated} {
		if fault.Is(err, kind) {
			return errInvalid
		}
	}
	return err
}
