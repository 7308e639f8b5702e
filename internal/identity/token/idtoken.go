package token

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/secret"
)

// reserved are the claims that the gate alone writes. Whoever could set one
// from outside could make a token say anything.
const reservedNames = "iss sub aud exp iat nbf jti nonce auth_time acr amr azp at_hash c_hash s_hash sid client_id scope gid status mpos cnf act may_act"

func reserved(name string) bool { return slices.Contains(strings.Fields(reservedNames), name) }

// mintID makes the ID token that goes with an access token (OpenID Connect
// Core, section 2), in the algorithm that the client has chosen.
func (g *Gate) mintID(ctx context.Context, p *passed, t *Token, access string, q IDRequest) (string, error) {
	key, err := g.Ring.Signer(ctx, t.Realm, p.client.IDTokenAlgorithm())
	if err != nil {
		return "", err
	}
	b := make([]byte, 0, 1024)
	b = appendText(append(b, `{"iss":`...), p.realm.Issuer)
	b = appendText(append(b, `,"sub":`...), t.Subject)
	b = appendText(append(b, `,"aud":`...), p.client.ID)
	b = strconv.AppendInt(append(b, `,"exp":`...), p.end(p.now.Add(life(p.realm.Settings.IDTokenTTL, p.client.IDTokenLife()))).Unix(), 10)
	b = strconv.AppendInt(append(b, `,"iat":`...), t.Issued.Unix(), 10)
	if q.Nonce != "" {
		b = appendText(append(b, `,"nonce":`...), q.Nonce)
	}
	b = appendPerson(b, t.ACR, t.AMR, t.AuthTime)
	b = appendText(append(b, `,"at_hash":`...), HalfHash(key.Alg, access))
	b = appendText(append(b, `,"gid":`...), p.grant.ID)
	if p.grant.Session != "" {
		sid, err := g.SID(ctx, t.Realm, t.Client, p.grant.Session)
		if err != nil {
			return "", err
		}
		b = appendText(append(b, `,"sid":`...), sid)
	}
	if b, err = appendExtra(b, q.Claims); err != nil {
		return "", err
	}
	return jose.Sign(key, TypeID, append(b, '}'))
}

// appendExtra writes claims that others decided. The names that the gate writes
// are not theirs, and no name comes twice.
func appendExtra(b []byte, claims []Claim) ([]byte, error) {
	for i, c := range claims {
		if reserved(c.Name) || slices.ContainsFunc(claims[:i], func(o Claim) bool { return o.Name == c.Name }) {
			return nil, fault.New(fault.Internal, "claim_reserved", "claim %q cannot be set", c.Name)
		}
		// Taken for JSON only when it is: one value and nothing after it.
		if o, err := jose.ParseObject(fmt.Appendf(nil, `{"v":%s}`, c.Value)); err != nil || len(o.Members()) != 1 {
			return nil, fault.New(fault.Internal, "claim_malformed", "claim %q is not a JSON value", c.Name)
		}
		b = append(appendText(append(b, ','), c.Name), ':')
		b = append(b, c.Value...)
	}
	return b, nil
}

// HalfHash is at_hash and its like: the left half of the hash that the algorithm
// uses (OpenID Connect Core, section 3.1.3.6); Ed25519 uses SHA-512.
func HalfHash(alg, value string) string {
	if alg == jose.EdDSA {
		sum := sha512.Sum512([]byte(value))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Subject is how a client knows a principal: by its id or, for pairwise
// clients, by a value that no two sectors share (OpenID Connect Core, section
// 8.1).
func (g *Gate) Subject(ctx context.Context, realm string, c *client.Client, principal string) (string, error) {
	if c.SubjectType != client.Pairwise || principal == c.Principal {
		return principal, nil
	}
	salt, err := g.Ring.Secret(ctx, realm, keyring.Pairwise)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(secret.Derive(salt, "pairwise subject", realm, c.Sector, principal)), nil
}

// SID is how a client knows a session: no two clients know it alike, so that
// they cannot tell that they serve the same browser.
func (g *Gate) SID(ctx context.Context, realm, client, session string) (string, error) {
	salt, err := g.Ring.Secret(ctx, realm, keyring.Pairwise)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(secret.Derive(salt, "session id", realm, client, session)[:16]), nil
}

// Hint is what an ID token says when it comes back as id_token_hint (OpenID
// Connect Core, section 3.1.2.1; RP-Initiated Logout, section 2).
type Hint struct {
	Subject string
	Client  string
	Session string // sid, if it has one
	Issued  time.Time
	Expires time.Time // may be past
}

// maxHintAge is how old an ID token may be to still serve as a hint.
const maxHintAge = 400 * 24 * time.Hour

// Hint reads an ID token of the realm that may have expired: it names somebody
// and proves nothing. Anything else is fault.Invalid.
func (g *Gate) Hint(ctx context.Context, realm, value string) (Hint, error) {
	r, err := g.Realms.ByName(ctx, realm)
	if err != nil {
		return Hint{}, err
	}
	keys, err := g.Ring.PastVerifiers(ctx, realm)
	if err != nil {
		return Hint{}, err
	}
	v, err := jose.Verify(value, jose.Want{Typ: []string{TypeID}, Keys: keys, MaxBytes: MaxBytes})
	if err != nil {
		return Hint{}, errHint
	}
	var h Hint
	var issuer string
	for name, to := range map[string]*string{"iss": &issuer, "sub": &h.Subject, "aud": &h.Client, "sid": &h.Session} {
		if *to, err = v.Claims.String(name); err != nil {
			return Hint{}, errHint
		}
	}
	for name, to := range map[string]*time.Time{"iat": &h.Issued, "exp": &h.Expires} {
		if *to, err = v.Claims.Time(name); err != nil || to.IsZero() {
			return Hint{}, errHint
		}
	}
	now := g.db.Now()
	if issuer != r.Issuer || h.Subject == "" || h.Client == "" || !v.Claims.Has("at_hash") ||
		h.Issued.After(now.Add(jose.MaxSkew)) || h.Issued.Before(now.Add(-maxHintAge)) {
		return Hint{}, errHint
	}
	return h, nil
}

var errHint error = fault.New(fault.Invalid, "hint_invalid", "the hint is not an ID token of this issuer")
