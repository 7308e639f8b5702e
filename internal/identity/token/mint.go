package token

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// mint makes what was asked for: the access token, and an ID token that names it.
func (g *Gate) mint(ctx context.Context, p *passed, t *Token, q *Request, issued *Issued) (err error) {
	switch {
	case p.client.AccessTokenFormat != client.Opaque:
		issued.Access, err = g.signed(ctx, p, t, q.DetailsAt)
	case q.Room != nil && q.ID == nil:
		if err = t.shorten(p, q.DetailsAt); err == nil {
			issued.Room, err = g.appendSealed(ctx, q.Room, t)
		}
	default:
		if err = t.shorten(p, q.DetailsAt); err == nil {
			issued.Access, err = g.seal(ctx, t)
		}
	}
	if err == nil && q.ID != nil {
		issued.ID, err = g.mintID(ctx, p, t, issued.Access, *q.ID)
	}
	return err
}

// shorten replaces authorization details that are too long for an opaque token by
// their hash; at says which of the grant's they are.
func (t *Token) shorten(p *passed, at []int) error {
	if len(t.Details.Text) <= maxSealedDetails {
		return nil
	}
	short, ok := t.hashed(p, at)
	if !ok {
		return tooDetailed()
	}
	t.Details = short
	return nil
}

// signed makes a JWT. Authorization details that make it too large are replaced by
// their hash; at says which of the grant's they are.
func (g *Gate) signed(ctx context.Context, p *passed, t *Token, at []int) (string, error) {
	key, err := g.Ring.Signer(ctx, t.Realm, p.client.AccessTokenAlgorithm())
	if err != nil {
		return "", err
	}
	t.Key = key.ID
	signed, claims, err := sign(key, p, t)
	if err != nil {
		return "", err
	}
	most := p.realm.Settings.MaxTokenBytes
	if short, ok := t.hashed(p, at); ok && weight(signed) > most {
		t.Details = short
		if signed, claims, err = sign(key, p, t); err != nil {
			return "", err
		}
	}
	if size := weight(signed); size > most {
		return "", tooLarge(claims, size, most)
	}
	return signed, nil
}

func sign(key *jose.Key, p *passed, t *Token) (signed string, claims []byte, err error) {
	var space [1024]byte
	claims = appendClaims(space[:0], p.realm.Issuer, t)
	signed, err = jose.Sign(key, TypeAccess, claims)
	return signed, claims, err
}

func tooDetailed() error {
	return fault.New(fault.TooLarge, "token_too_large", "a sealed token carries at most %d bytes of authorization_details that no grant holds", maxSealedDetails)
}

// es256Signature is the length of a signature of the default algorithm.
const es256Signature = 86

// weight is the size of a token that its realm's max_token_bytes bounds. An RSA
// signature weighs as much as one of the default algorithm: whoever needs RSA
// cannot make it shorter, and the bound is about claims.
func weight(signed string) int {
	signature := len(signed) - strings.LastIndexByte(signed, '.') - 1
	return len(signed) - max(0, signature-es256Signature)
}

// appendClaims writes the claims of RFC 9068, section 2.2, and three of ours:
// gid, the grant; status, where its death is told; mpos, the position at which
// the token was minted. Never a role: those change while the token lives.
func appendClaims(b []byte, issuer string, t *Token) []byte {
	b = appendText(append(b, `{"iss":`...), issuer)
	b = appendText(append(b, `,"sub":`...), t.Subject)
	b = appendAudience(append(b, `,"aud":`...), t.Audience)
	b = strconv.AppendInt(append(b, `,"exp":`...), t.Expires.Unix(), 10)
	b = strconv.AppendInt(append(b, `,"iat":`...), t.Issued.Unix(), 10)
	b = appendText(append(b, `,"jti":`...), t.ID)
	b = appendText(append(b, `,"client_id":`...), t.Client)
	if len(t.Scopes) > 0 {
		b = appendWords(append(b, `,"scope":`...), t.Scopes)
	}
	b = appendDetails(b, t.Details)
	b = appendPerson(b, t.ACR, t.AMR, t.AuthTime)
	if len(t.Actors) > 0 {
		b = AppendActors(append(b, `,"act":`...), t.Actors)
	}
	if t.Bound != (Binding{}) {
		b = t.Bound.AppendJSON(append(b, `,"cnf":`...))
	}
	b = appendText(append(b, `,"gid":`...), t.Grant)
	b = strconv.AppendInt(append(b, `,"status":{"status_list":{"idx":`...), t.Status.Index, 10)
	b = appendText(append(b, `,"uri":`...), statuslist.URI(issuer, t.Status.List))
	b = strconv.AppendInt(append(b, `}},"mpos":"`...), t.Minted.Epoch, 10)
	b = strconv.AppendInt(append(b, '.'), t.Minted.Seq, 10)
	return append(b, `"}`...)
}

// appendPerson writes how a person proved itself, if a person did.
func appendPerson(b []byte, acr string, amr []string, at time.Time) []byte {
	if !at.IsZero() {
		b = strconv.AppendInt(append(b, `,"auth_time":`...), at.Unix(), 10)
	}
	if acr != "" {
		b = appendText(append(b, `,"acr":`...), acr)
	}
	if len(amr) > 0 {
		b = appendList(append(b, `,"amr":`...), amr)
	}
	return b
}

// tooLarge names the claim that takes most of the space, for whoever configured
// it. Large tokens break headers and cookies far from here.
func tooLarge(claims []byte, size, most int) error {
	name, largest := "", 0
	if o, err := jose.ParseObject(claims); err == nil {
		for _, m := range o.Members() {
			if raw, _ := o.Raw(m.Name); len(raw) > largest {
				name, largest = m.Name, len(raw)
			}
		}
	}
	return fault.New(fault.TooLarge, "token_too_large", "the access token would have %d bytes, of which the claim %q takes %d; the realm's max_token_bytes is %d",
		size, name, largest, most)
}
