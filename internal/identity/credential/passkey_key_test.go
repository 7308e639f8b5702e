package credential

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	pk "github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
)

// A signature counts in one form: the DER that its two integers have (SEC 1, C.5).
func TestASignatureHasOneForm(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cose, signed := pk.COSE(key.Public()), []byte("what an authenticator signs")
	digest := sha256.Sum256(signed)
	good, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyPasskey(cose, signed, good); err != nil {
		t.Fatalf("a right one: %v", err)
	}
	var two struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(good, &two); err != nil {
		t.Fatal(err)
	}
	encode := func(v any) []byte {
		b, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	padded := slices.Insert(slices.Clone(good), 4, 0) // a zero before R
	padded[1]++
	padded[3]++
	for name, bad := range map[string][]byte{
		"nothing":                nil,
		"more behind it":         append(slices.Clone(good), 0),
		"more within":            encode(struct{ R, S, More *big.Int }{two.R, two.S, big.NewInt(1)}),
		"a number in more bytes": padded,
		"R of zero":              encode(struct{ R, S *big.Int }{big.NewInt(0), two.S}),
		"S of zero":              encode(struct{ R, S *big.Int }{two.R, big.NewInt(0)}),
		"R beyond the order":     encode(struct{ R, S *big.Int }{new(big.Int).Add(two.R, key.Params().N), two.S}),
		"R below zero":           encode(struct{ R, S *big.Int }{new(big.Int).Neg(two.R), two.S}),
		"another R":              encode(struct{ R, S *big.Int }{new(big.Int).Add(two.R, big.NewInt(1)), two.S}),
	} {
		if err := verifyPasskey(cose, signed, bad); err != refusal("signature") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := verifyPasskey(cose, append(signed, '.'), good); err != refusal("signature") {
		t.Errorf("of something else: %v", err)
	}
	off := slices.Clone(cose)
	off[len(off)-1] ^= 1
	if err := verifyPasskey(off, signed, good); !Refused(err) || err == refusal("signature") {
		t.Errorf("a point that is not on the curve: %v", err)
	}
}
