package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math/big"
)

// Set is a set of public keys (RFC 7517, section 5).
type Set []*PublicKey

// ParseSet reads a JSON Web Key Set. Keys for encryption and of kinds or
// algorithms this package does not speak are left out, as section 5 of RFC 7517
// asks; a malformed, weak or private key makes the whole set unusable, because
// someone should look at it.
func ParseSet(data []byte) (Set, error) {
	o, err := ParseObject(data)
	if err != nil {
		return nil, err
	}
	var raw []json.RawMessage
	if err := o.Decode("keys", &raw); err != nil || raw == nil {
		return nil, bad(ErrBadKey, `a key set is an object with a list "keys"`)
	}
	if len(raw) > 100 {
		return nil, bad(ErrBadKey, "more than 100 keys in a set")
	}
	var set Set
	for _, r := range raw {
		k, err := ParseJWK(r)
		if err != nil {
			return nil, err
		}
		if k != nil {
			set = append(set, k)
		}
	}
	return set, nil
}

// ParseJWK reads one public JSON Web Key. It returns nil without an error for a
// key that is well-formed but of no use here: for encryption, or of a kind or
// algorithm this package does not speak.
func ParseJWK(data []byte) (*PublicKey, error) {
	o, err := ParseObject(data)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if o.Has(name) {
			return nil, bad(ErrBadKey, "the key set holds a private or symmetric key (member %q)", name)
		}
	}
	var f [10]string
	for i, name := range []string{"kty", "kid", "alg", "use", "crv", "x", "y", "n", "e"} {
		if f[i], err = o.String(name); err != nil {
			return nil, bad(ErrBadKey, "%s is not a string", name)
		}
	}
	kty, kid, alg, use, crv := f[0], f[1], f[2], f[3], f[4]
	if len(kid) > 200 {
		return nil, bad(ErrBadKey, "kid longer than 200 bytes")
	}
	if !forVerifying(o, use) || alg != "" && !Known(alg) {
		return nil, nil
	}
	switch {
	case kty == "EC" && crv == "P-256":
		x, errX := member("x", f[5], 32)
		y, errY := member("y", f[6], 32)
		if errX != nil || errY != nil {
			return nil, bad(ErrBadKey, "x and y of P-256 have 32 bytes each")
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, bad(ErrBadKey, "point is not on the curve")
		}
		return NewPublicKey(kid, alg, pub)
	case kty == "OKP" && crv == "Ed25519":
		x, err := member("x", f[5], ed25519.PublicKeySize)
		if err != nil {
			return nil, err
		}
		return NewPublicKey(kid, alg, ed25519.PublicKey(x))
	case kty == "RSA":
		n, errN := member("n", f[7], -1)
		e, errE := member("e", f[8], -1)
		if errN != nil || errE != nil || len(n) > maxRSABits/8+1 || len(e) > 4 {
			return nil, bad(ErrBadKey, "RSA modulus or exponent missing, malformed or too large")
		}
		exp := binary.BigEndian.Uint32(append(make([]byte, 4-len(e)), e...))
		if exp > 1<<31-1 {
			return nil, bad(ErrBadKey, "RSA exponent too large")
		}
		return NewPublicKey(kid, alg, &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp)})
	}
	return nil, nil
}

// forVerifying reports whether use and key_ops allow verifying signatures.
func forVerifying(o Object, use string) bool {
	if use != "" && use != "sig" {
		return false
	}
	if !o.Has("key_ops") {
		return true
	}
	ops, err := o.Strings("key_ops")
	if err != nil {
		return false
	}
	for _, op := range ops {
		if op == "verify" {
			return true
		}
	}
	return false
}

func member(name, text string, size int) ([]byte, error) {
	b, err := decode(text)
	if err != nil || len(b) == 0 || size >= 0 && len(b) != size {
		return nil, bad(ErrBadKey, "member %s is missing or malformed", name)
	}
	return b, nil
}

// Find returns the key for a token that names kid and alg. A token without a
// kid finds the only key of the set that can be meant, and none if two can.
func (s Set) Find(kid, alg string) *PublicKey {
	var found *PublicKey
	for _, k := range s {
		if kid != "" && k.ID != kid || !k.can(alg) {
			continue
		}
		if found != nil {
			return nil
		}
		found = k
	}
	return found
}

func (k *PublicKey) can(alg string) bool {
	return k.Alg == alg || k.Alg == "" && (alg == RS256 || alg == PS256)
}

// JWK encodes the key as a public JSON Web Key for signatures.
func (k *PublicKey) JWK() []byte { return k.appendJWK(nil) }

func (k *PublicKey) appendJWK(b []byte) []byte {
	b = append(b, '{')
	if k.ID != "" {
		b = append(appendJSON(append(b, `"kid":`...), k.ID), ',')
	}
	b = append(b, `"use":"sig",`...)
	if k.Alg != "" {
		b = append(appendJSON(append(b, `"alg":`...), k.Alg), ',')
	}
	return append(k.appendMaterial(b), '}')
}

// appendMaterial appends the required members in the order RFC 7638 hashes them.
func (k *PublicKey) appendMaterial(b []byte) []byte {
	enc := base64.RawURLEncoding
	switch {
	case k.ec != nil:
		point, _ := k.ec.Bytes() // checked to be on the curve when the key was made
		b = enc.AppendEncode(append(b, `"crv":"P-256","kty":"EC","x":"`...), point[1:33])
		b = enc.AppendEncode(append(b, `","y":"`...), point[33:65])
	case k.ed != nil:
		b = enc.AppendEncode(append(b, `"crv":"Ed25519","kty":"OKP","x":"`...), k.ed)
	default:
		e := big.NewInt(int64(k.rsa.E)).Bytes()
		b = enc.AppendEncode(append(b, `"e":"`...), e)
		b = enc.AppendEncode(append(b, `","kty":"RSA","n":"`...), k.rsa.N.Bytes())
	}
	return append(b, '"')
}

// Thumbprint is the RFC 7638 thumbprint with SHA-256, base64url encoded.
func (k *PublicKey) Thumbprint() string {
	sum := sha256.Sum256(append(k.appendMaterial([]byte("{")), '}'))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// JSON encodes the set as a JSON Web Key Set.
func (s Set) JSON() []byte {
	b := []byte(`{"keys":[`)
	for i, k := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = k.appendJWK(b)
	}
	return append(b, "]}"...)
}

func appendJSON(b []byte, text string) []byte {
	quoted, _ := json.Marshal(text) // a string always marshals
	return append(b, quoted...)
}
