package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
)

// PublicKey verifies signatures of exactly one algorithm. Alg is empty only for
// an RSA key of another party that did not say how it signs; such a key
// verifies nothing until Pin has given it an algorithm.
type PublicKey struct {
	ID  string
	Alg string

	ec  *ecdsa.PublicKey
	ed  ed25519.PublicKey
	rsa *rsa.PublicKey
}

// NewPublicKey checks a public key of the standard library (*ecdsa.PublicKey on
// P-256, ed25519.PublicKey, *rsa.PublicKey) against alg and wraps it.
func NewPublicKey(id, alg string, pub any) (*PublicKey, error) {
	k := &PublicKey{ID: id}
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return nil, bad(ErrBadKey, "only the curve P-256 is supported")
		}
		if _, err := p.Bytes(); err != nil {
			return nil, bad(ErrBadKey, "point is not on the curve")
		}
		k.ec = p
	case ed25519.PublicKey:
		if len(p) != ed25519.PublicKeySize {
			return nil, bad(ErrBadKey, "an Ed25519 key has %d bytes", ed25519.PublicKeySize)
		}
		k.ed = p
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < minRSABits || n > maxRSABits {
			return nil, bad(ErrBadKey, "an RSA key has %d to %d bits, not %d", minRSABits, maxRSABits, n)
		}
		if p.E < 3 || p.E%2 == 0 || p.N.Bit(0) == 0 {
			return nil, bad(ErrBadKey, "RSA modulus and exponent must be odd, the exponent at least 3")
		}
		k.rsa = p
	default:
		return nil, bad(ErrBadKey, "unsupported kind of key")
	}
	return k.Pin(alg)
}

// Pin returns the key bound to alg; it is an error if the key is of another
// kind or already bound to another algorithm. An empty alg binds keys that
// leave no choice (ES256, EdDSA) and leaves RSA keys open.
func (k *PublicKey) Pin(alg string) (*PublicKey, error) {
	if alg == "" {
		switch {
		case k.Alg != "":
			return k, nil
		case k.ec != nil:
			alg = ES256
		case k.ed != nil:
			alg = EdDSA
		}
	}
	fits := alg == ES256 && k.ec != nil || alg == EdDSA && k.ed != nil ||
		(alg == RS256 || alg == PS256 || alg == "") && k.rsa != nil
	if !fits || k.Alg != "" && k.Alg != alg {
		return nil, bad(ErrAlgorithm, "key %.80q is not for %.20q", k.ID, alg)
	}
	pinned := *k
	pinned.Alg = alg
	return &pinned, nil
}

// Equal reports whether both hold the same key material.
func (k *PublicKey) Equal(o *PublicKey) bool { return k.Thumbprint() == o.Thumbprint() }

// verify reports whether sig is k's signature over signed.
func (k *PublicKey) verify(signed, sig []byte) bool {
	if k.Alg == EdDSA {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(k.ed, signed, sig)
	}
	digest := sha256.Sum256(signed)
	switch k.Alg {
	case ES256:
		if len(sig) != 64 {
			return false
		}
		var space [72]byte
		return ecdsa.VerifyASN1(k.ec, digest[:], derFromFixed(&space, sig))
	case RS256:
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, digest[:], sig) == nil
	case PS256:
		return rsa.VerifyPSS(k.rsa, crypto.SHA256, digest[:], sig, pss()) == nil
	}
	return false
}

// Named returns the key under another id.
func (k *PublicKey) Named(id string) *PublicKey {
	named := *k
	named.ID = id
	return &named
}
