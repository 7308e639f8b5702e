package demo

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// keySet holds the public keys that Cardea signs ID tokens with, by key id.
type keySet map[string]*ecdsa.PublicKey

// checkIDToken does what OpenID Connect Core 1.0, section 3.1.3.7 asks of a
// relying party that takes ES256 tokens.
func (p *provider) checkIDToken(ctx context.Context, token, nonce string, now time.Time) (claims, error) {
	header, err := peek(token, 0)
	if err != nil {
		return nil, err
	}
	if header.text("alg") != "ES256" {
		return nil, fmt.Errorf("ID token is signed with %q, not ES256", header.text("alg"))
	}
	key, err := p.key(ctx, header.text("kid"))
	if err != nil {
		return nil, err
	}
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(signature) != 64 {
		return nil, errors.New("ID token has a malformed signature")
	}
	digest := sha256.Sum256([]byte(token[:dot]))
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if !ecdsa.Verify(key, digest[:], r, s) {
		return nil, errors.New("ID token has a wrong signature")
	}
	c, err := peek(token, 1)
	if err != nil {
		return nil, err
	}
	exp, _ := c["exp"].(float64)
	switch {
	case c.text("iss") != p.issuer:
		return nil, fmt.Errorf("ID token is from %q", c.text("iss"))
	case !c.isFor(p.clientID):
		return nil, fmt.Errorf("ID token is for %v", c["aud"])
	case c.text("nonce") != nonce:
		return nil, errors.New("ID token answers another request")
	case !now.Before(time.Unix(int64(exp), 0)):
		return nil, errors.New("ID token has expired")
	}
	return c, nil
}

// isFor reports whether the audience is client alone or contains it while
// the token names it as the authorized party.
func (c claims) isFor(client string) bool {
	switch aud := c["aud"].(type) {
	case string:
		return aud == client
	case []any:
		return slices.Contains(aud, any(client)) && (len(aud) == 1 || c.text("azp") == client)
	}
	return false
}

// key finds a key by its id, asking Cardea again when it is not known: keys
// are rotated, and published before they are used.
func (p *provider) key(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	doc, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.signer[kid]; k != nil {
		return k, nil
	}
	var set struct {
		Keys []struct{ Kid, Kty, Crv, X, Y string } `json:"keys"`
	}
	if err := p.get(ctx, doc.JWKS, "", &set); err != nil {
		return nil, err
	}
	p.signer = keySet{}
	for _, k := range set.Keys {
		if k.Kty != "EC" || k.Crv != "P-256" {
			continue
		}
		x, errX := base64.RawURLEncoding.DecodeString(k.X)
		y, errY := base64.RawURLEncoding.DecodeString(k.Y)
		if errX != nil || errY != nil {
			continue
		}
		point := append(append([]byte{4}, x...), y...)
		if pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err == nil {
			p.signer[k.Kid] = pub
		}
	}
	if k := p.signer[kid]; k != nil {
		return k, nil
	}
	return nil, fmt.Errorf("nobody published the key %q", kid)
}
