package jose

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// SignWith is Sign with a key that lives elsewhere, such as in a security
// module. The key decides the algorithm: P-256 signs ES256, Ed25519 EdDSA and
// RSA PS256.
func SignWith(s crypto.Signer, kid, typ string, claims []byte) (string, error) {
	alg, err := algorithmOf(s, kid)
	if err != nil {
		return "", err
	}
	text := encodeHeader(alg, kid, typ) + base64.RawURLEncoding.EncodeToString(claims)
	sig, err := signText(s, alg, []byte(text))
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

func algorithmOf(s crypto.Signer, kid string) (string, error) {
	public, err := NewPublicKey(kid, "", s.Public())
	if err != nil {
		return "", err
	}
	if public.rsa != nil {
		return PS256, nil
	}
	return public.Alg, nil
}

func signText(s crypto.Signer, alg string, text []byte) ([]byte, error) {
	if alg == EdDSA {
		return s.Sign(rand.Reader, text, crypto.Hash(0))
	}
	digest := sha256.Sum256(text)
	if alg == PS256 {
		return s.Sign(rand.Reader, digest[:], pss())
	}
	der, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var sig [64]byte
	if !fixedFromDER(&sig, der) {
		return nil, bad(ErrSignature, "signer returned an unexpected encoding")
	}
	return sig[:], nil
}
