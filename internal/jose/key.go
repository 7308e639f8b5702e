package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strconv"
	"sync"
	"sync/atomic"
)

// rsaBits is the size of the RSA keys that Generate makes; smaller ones than
// minRSABits are refused wherever they come from, larger ones than maxRSABits
// too, because verifying with them is slow enough to be an attack.
const rsaBits, minRSABits, maxRSABits = 2048, 2048, 8192

// Key is a private signing key with the one algorithm it is used for. Whoever
// holds it can sign as its owner. It is safe for concurrent use.
type Key struct {
	ID  string // the kid of its tokens
	Alg string

	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
	rsa *rsa.PrivateKey

	public  *PublicKey
	mu      sync.Mutex
	headers atomic.Pointer[[]header] // encoded headers by type; few, copied on write
}

// header is the encoded protected header of one type, with the dot behind it.
type header struct{ typ, encoded string }

// Generate makes a new key for alg. RSA keys take a noticeable fraction of a
// second.
func Generate(id, alg string) (*Key, error) {
	switch alg {
	case ES256:
		priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return newKey(id, alg, priv)
	case EdDSA:
		_, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return newKey(id, alg, priv)
	case RS256, PS256:
		priv, err := rsa.GenerateKey(rand.Reader, rsaBits)
		if err != nil {
			return nil, err
		}
		return newKey(id, alg, priv)
	}
	return nil, bad(ErrAlgorithm, "no key can be made for %.20q", alg)
}

// ParseKey reads a private key from PKCS #8 (DER), as Key.PKCS8 writes it.
func ParseKey(id, alg string, pkcs8 []byte) (*Key, error) {
	priv, err := x509.ParsePKCS8PrivateKey(pkcs8)
	if err != nil {
		return nil, bad(ErrBadKey, "not a PKCS #8 private key")
	}
	return newKey(id, alg, priv)
}

func newKey(id, alg string, priv any) (*Key, error) {
	k := &Key{ID: id, Alg: alg}
	var pub any
	switch p := priv.(type) {
	case *ecdsa.PrivateKey:
		k.ec, pub = p, &p.PublicKey
	case ed25519.PrivateKey:
		k.ed, pub = p, p.Public()
	case *rsa.PrivateKey:
		k.rsa, pub = p, &p.PublicKey
	}
	public, err := NewPublicKey(id, alg, pub)
	if err != nil {
		return nil, err
	}
	k.public = public
	return k, nil
}

// PKCS8 returns the private key as DER, to be sealed and stored.
func (k *Key) PKCS8() ([]byte, error) {
	switch {
	case k.ec != nil:
		return x509.MarshalPKCS8PrivateKey(k.ec)
	case k.ed != nil:
		return x509.MarshalPKCS8PrivateKey(k.ed)
	}
	return x509.MarshalPKCS8PrivateKey(k.rsa)
}

// PublicPEM returns the public key as software reads it that knows no JWK.
func (k *Key) PublicPEM() (string, error) {
	var public any
	switch {
	case k.ec != nil:
		public = &k.ec.PublicKey
	case k.ed != nil:
		public = k.ed.Public()
	default:
		public = &k.rsa.PublicKey
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), err
}

// Public returns the key that verifies what k signs.
func (k *Key) Public() *PublicKey { return k.public }

// String names the key without its private part, so that a key in a log line
// says nothing.
func (k *Key) String() string { return "signing key " + k.ID + " (" + k.Alg + ")" }

// GoString is String: %#v must not reveal more than %v.
func (k *Key) GoString() string { return k.String() }

// header returns the encoded header of tokens of a type, from memory after its
// first use.
func (k *Key) header(typ string) string {
	if known := k.headers.Load(); known != nil {
		for i := range *known {
			if (*known)[i].typ == typ {
				return (*known)[i].encoded
			}
		}
	}
	encoded := encodeHeader(k.Alg, k.ID, typ)
	k.mu.Lock()
	defer k.mu.Unlock()
	var next []header
	if known := k.headers.Load(); known != nil {
		next = append(next, *known...)
	}
	if len(next) < 16 {
		next = append(next, header{typ, encoded})
		k.headers.Store(&next)
	}
	return encoded
}

func encodeHeader(alg, kid, typ string) string {
	b := append([]byte(`{"alg":`), strconv.Quote(alg)...)
	if kid != "" {
		b = appendJSON(append(b, `,"kid":`...), kid)
	}
	if typ != "" {
		b = appendJSON(append(b, `,"typ":`...), typ)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, '}')) + "."
}
