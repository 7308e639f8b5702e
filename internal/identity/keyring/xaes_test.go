package keyring

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The vectors of C2SP's XAES-256-GCM.
func TestXAESVectors(t *testing.T) {
	for _, v := range []struct {
		key                   byte
		nonce, plain, aad, ct string
	}{
		{1, "ABCDEFGHIJKLMNOPQRSTUVWX", "XAES-256-GCM", "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "ABCDEFGHIJKLMNOPQRSTUVWX", "XAES-256-GCM", "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		k, err := newSealKey(secretRow{generation: 1}, bytes.Repeat([]byte{v.key}, 32))
		if err != nil {
			t.Fatal(err)
		}
		nonce := []byte(v.nonce)
		got := k.aead(nonce).Seal(nil, nonce[12:], []byte(v.plain), []byte(v.aad))
		if hex.EncodeToString(got) != v.ct {
			t.Errorf("key %d: %x, want %s", v.key, got, v.ct)
		}
	}
}
