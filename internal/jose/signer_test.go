package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"
)

// A key that only signs makes what its public half verifies, by the algorithm
// that belongs to it.
func TestAForeignSignerIsUnderstood(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for alg, signer := range map[string]crypto.Signer{ES256: ec, EdDSA: ed, PS256: long} {
		public, err := NewPublicKey("k", alg, signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		for range 20 { // short integers in ECDSA signatures come by chance
			text, err := SignWith(signer, "k", "JWT", []byte(claims))
			if err != nil {
				t.Fatal(err)
			}
			v, err := Verify(text, Want{Typ: []string{"JWT"}, Keys: Set{public}})
			if err != nil || v.Alg != alg || v.Kid != "k" || string(v.Payload) != claims {
				t.Fatalf("%s: %+v, %v", alg, v, err)
			}
		}
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := SignWith(other, "k", "JWT", []byte(claims)); err == nil {
		t.Errorf("a key on a curve that nobody verifies signed %s", text)
	}
}
