package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// Token is a verified access token (RFC 9068). It is shared between requests:
// do not change it.
type Token struct {
	Issuer   string
	Subject  string   // who it acts for; for client_credentials the client itself
	Audience []string // every resource server it is for
	ClientID string   // the application that uses it
	Actors   []string // who acts for the subject, the present one first (RFC 8693, section 4.1); nobody else does if empty
	Scopes   []string
	ID       string // jti, unique to this token
	GrantID  string // the grant it descends from: revoking that kills it
	IssuedAt time.Time
	Expires  time.Time
	AuthTime time.Time // when the person signed in; zero if there is no person
	ACR      string    // how strongly they did
	AMR      []string  // by which methods

	// What it is bound to, and only good with: the thumbprint of a key (RFC 9449)
	// and of a certificate (RFC 8705). Both empty: a bearer token.
	KeyThumbprint  string
	CertThumbprint string

	claims jose.Claims
	keyID  string
	status statuslist.Ref
	minted statuslist.Position
}

// MintedAt is the revision at which the token was minted: what is decided about it
// should rest on nothing older.
func (t *Token) MintedAt() string { return t.minted.String() }

// HasScope reports whether the token allows scope.
func (t *Token) HasScope(scope string) bool { return slices.Contains(t.Scopes, scope) }

// Require returns an *Error of kind ErrScope unless the token has every scope.
func (t *Token) Require(scopes ...string) error {
	for _, s := range scopes {
		if !t.HasScope(s) {
			return refuse(ErrScope, "the token lacks "+s)
		}
	}
	return nil
}

// Claim decodes a claim into v as encoding/json does. It leaves v alone and
// returns false if the token has no such claim.
func (t *Token) Claim(name string, v any) (bool, error) {
	if !t.claims.Has(name) {
		return false, nil
	}
	if err := t.claims.Decode(name, v); err != nil {
		return true, fmt.Errorf("verify: claim %s: %w", name, err)
	}
	return true, nil
}

// reader collects the first error of reading many claims.
type reader struct {
	o   jose.Object
	err error
}

func (r *reader) text(name string) string {
	s, err := r.o.String(name)
	r.note(err)
	return s
}

func (r *reader) texts(name string) []string {
	s, err := r.o.Strings(name)
	r.note(err)
	return s
}

func (r *reader) time(name string) time.Time {
	t, err := r.o.Time(name)
	r.note(err)
	return t
}

func (r *reader) object(name string) *reader {
	o, err := r.o.Object(name)
	r.note(err)
	return &reader{o, r.err}
}

func (r *reader) note(err error) {
	if r.err == nil {
		r.err = err
	}
}

// maxActors bounds how many may act for one another.
const maxActors = 4

// readActors reads act. One that is not understood is refused, for whoever is
// told of the subject alone would take the actor for it.
func readActors(o jose.Object) (actors []string, err error) {
	for o.Has("act") {
		if o, err = o.Object("act"); err != nil {
			return nil, err
		}
		sub, err := o.String("sub")
		if err != nil || sub == "" || len(actors) == maxActors {
			return nil, fmt.Errorf("act says nothing that is understood here")
		}
		actors = append(actors, sub)
	}
	return actors, nil
}

// readToken takes the claims of a token whose signature has been verified.
func readToken(v *jose.Verified) (*Token, error) {
	r := &reader{o: v.Claims.Object}
	t := &Token{
		Issuer: r.text("iss"), Subject: r.text("sub"), Audience: r.texts("aud"), ClientID: r.text("client_id"),
		Scopes: strings.Fields(r.text("scope")), ID: r.text("jti"), GrantID: r.text("gid"),
		IssuedAt: r.time("iat"), Expires: r.time("exp"), AuthTime: r.time("auth_time"),
		ACR: r.text("acr"), AMR: r.texts("amr"), claims: v.Claims, keyID: v.Kid,
	}
	if v.Claims.Has("cnf") {
		cnf := r.object("cnf")
		t.KeyThumbprint, t.CertThumbprint = cnf.text("jkt"), cnf.text("x5t#S256")
		if cnf.err != nil || t.KeyThumbprint == "" && t.CertThumbprint == "" {
			return nil, fmt.Errorf("cnf says nothing that is understood here")
		}
	}
	var err error
	if t.Actors, err = readActors(v.Claims.Object); err != nil {
		return nil, err
	}
	pos := r.text("mpos")
	list := r.object("status").object("status_list")
	t.status.URI = list.text("uri")
	idx, err := list.o.Int("idx")
	list.note(err)
	t.status.Index = idx
	if list.err != nil {
		return nil, list.err
	}
	if t.ID == "" || t.ClientID == "" || t.status.URI == "" || !list.o.Has("idx") {
		return nil, fmt.Errorf("jti, client_id or status is missing")
	}
	if t.minted, err = statuslist.ParsePosition(pos); err != nil {
		return nil, fmt.Errorf("mpos is missing or malformed")
	}
	return t, nil
}
