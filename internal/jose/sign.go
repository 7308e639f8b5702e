package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
)

// Sign makes a compact JWS (RFC 7515, section 7.1) of typ over claims, which
// the caller has encoded as JSON.
func Sign(k *Key, typ string, claims []byte) (string, error) {
	var stack [1536]byte // a lean token fits, so the string is the only allocation here
	b := stack[:0]
	head := k.header(typ)
	if n := len(head) + base64.RawURLEncoding.EncodedLen(len(claims)) + 400; n > len(stack) {
		b = make([]byte, 0, n)
	}
	b = append(b, head...)
	b = base64.RawURLEncoding.AppendEncode(b, claims)
	b, err := k.appendSignature(b)
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// appendSignature appends a dot and the signature over all of b.
func (k *Key) appendSignature(b []byte) ([]byte, error) {
	if k.ed != nil {
		sig := ed25519.Sign(k.ed, b)
		return base64.RawURLEncoding.AppendEncode(append(b, '.'), sig), nil
	}
	digest := sha256.Sum256(b)
	switch k.Alg {
	case ES256:
		der, err := ecdsa.SignASN1(rand.Reader, k.ec, digest[:])
		if err != nil {
			return nil, err
		}
		var sig [64]byte
		if !fixedFromDER(&sig, der) {
			return nil, bad(ErrSignature, "signer returned an unexpected encoding")
		}
		return base64.RawURLEncoding.AppendEncode(append(b, '.'), sig[:]), nil
	case RS256:
		sig, err := rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, digest[:])
		if err != nil {
			return nil, err
		}
		return base64.RawURLEncoding.AppendEncode(append(b, '.'), sig), nil
	case PS256:
		sig, err := rsa.SignPSS(rand.Reader, k.rsa, crypto.SHA256, digest[:], pss())
		if err != nil {
			return nil, err
		}
		return base64.RawURLEncoding.AppendEncode(append(b, '.'), sig), nil
	}
	return nil, bad(ErrAlgorithm, "key %q signs with no known algorithm", k.ID)
}

// pss is what RFC 7518, section 3.5 demands: salt as long as the hash.
func pss() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
}

// fixedFromDER turns SEQUENCE{INTEGER r, INTEGER s} into r || s of 32 bytes
// each, which JWS uses (RFC 7518, section 3.4).
func fixedFromDER(out *[64]byte, der []byte) bool {
	if len(der) < 2 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return false
	}
	rest := der[2:]
	for i := range 2 {
		if len(rest) < 2 || rest[0] != 0x02 || int(rest[1]) > len(rest)-2 {
			return false
		}
		n := rest[2 : 2+int(rest[1])]
		rest = rest[2+len(n):]
		for len(n) > 32 && n[0] == 0 {
			n = n[1:]
		}
		if len(n) > 32 {
			return false
		}
		copy(out[i*32+32-len(n):], n)
	}
	return len(rest) == 0
}

// derFromFixed is the way back, into space of the caller.
func derFromFixed(space *[72]byte, sig []byte) []byte {
	b := append(space[:0], 0x30, 0)
	for _, n := range [2][]byte{sig[:32], sig[32:]} {
		for len(n) > 1 && n[0] == 0 {
			n = n[1:]
		}
		if n[0]&0x80 != 0 {
			b = append(b, 0x02, byte(len(n)+1), 0)
		} else {
			b = append(b, 0x02, byte(len(n)))
		}
		b = append(b, n...)
	}
	b[1] = byte(len(b) - 2)
	return b
}
