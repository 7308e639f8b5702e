package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"
)

func BenchmarkSign(b *testing.B) {
	for _, alg := range Algorithms() {
		k := mustKey(b, "key_01k9xq4c3m8v5t2r7n0p6w1z4y", alg)
		payload := []byte(claims)
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Sign(k, "at+jwt", payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What the standard library needs for the signature alone: the floor of Sign.
func BenchmarkRawES256(b *testing.B) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte(claims))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ecdsa.SignASN1(rand.Reader, priv, digest[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range Algorithms() {
		k := mustKey(b, "key_01k9xq4c3m8v5t2r7n0p6w1z4y", alg)
		token := mustSign(b, k, "at+jwt", claims)
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Verify(token, want(k, "at+jwt")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
