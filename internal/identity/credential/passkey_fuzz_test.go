package credential

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	pk "github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
)

// FuzzClientData: what is accepted means the same to everybody who reads JSON.
func FuzzClientData(f *testing.F) {
	f.Add([]byte(`{"type":"webauthn.get","challenge":"AA","origin":"https://id.example.com","crossOrigin":false}`))
	f.Add([]byte(`{"type":"a","type":"b"}`))
	f.Add([]byte(`{"topOrigin":null,"x":{"y":[1,2]}} `))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseClientData(encode64(raw))
		if err != nil {
			return
		}
		var all map[string]any
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatalf("accepted %q, which is no object: %v", raw, err)
		}
		for name, got := range map[string]string{"type": c.Type, "challenge": c.Challenge, "origin": c.Origin} {
			if want, _ := all[name].(string); want != got {
				t.Errorf("%s is %q and was read as %q", name, want, got)
			}
		}
		if cross, _ := all["crossOrigin"].(bool); cross != c.cross {
			t.Errorf("crossOrigin was read as %v in %q", c.cross, raw)
		}
		if _, top := all["topOrigin"]; top != c.top {
			t.Errorf("topOrigin was read as %v in %q", c.top, raw)
		}
	})
}

// FuzzAuthenticatorData: what is accepted is all there is.
func FuzzAuthenticatorData(f *testing.F) {
	base := append(bytes.Repeat([]byte{1}, 32), 0x45, 0, 0, 0, 9)
	f.Add(base[:37])
	f.Add(append(append(append(bytes.Clone(base), make([]byte, 16)...), 0, 2, 7, 7), pk.COSE(pk.NewKey(pk.ES256).Public())...))
	f.Add(append(append(bytes.Repeat([]byte{1}, 32), 0x81, 0, 0, 0, 9), pk.Map(pk.Text("a"), pk.Int(1))...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parseAuthenticatorData(raw)
		if err != nil {
			return
		}
		size := 37
		if a.has(flagAttested) {
			size += 18 + len(a.id) + len(a.key)
			if len(a.id) == 0 || len(a.id) > maxPasskeyID || len(a.aaguid) != 36 {
				t.Errorf("accepted the id %x of %q", a.id, a.aaguid)
			}
		}
		if size > len(raw) || size < len(raw) && !a.has(flagExtended) {
			t.Errorf("read %d of %d bytes", size, len(raw))
		}
		_, _ = parsePasskeyKey(a.key)
	})
}

// FuzzPasskeyAnswer: nothing that browsers can send breaks the readers.
func FuzzPasskeyAnswer(f *testing.F) {
	a := pk.New("https://id.example.com")
	f.Add(a.Create([]byte(`{"challenge":"AAAA","rp":{"id":"id.example.com"},"user":{"id":"AAAA"}}`)))
	a.Attest = pk.NewVendor("Vendor").Packed([16]byte{}, true)
	f.Add(a.Create([]byte(`{"challenge":"AAAA","rp":{"id":"id.example.com"},"user":{"id":"AAAA"}}`)))
	f.Add(a.Get([]byte(`{"challenge":"AAAA","rpId":"id.example.com"}`)))
	f.Fuzz(func(t *testing.T, text string) {
		ans, id, err := parseAnswer(text)
		if err != nil {
			return
		}
		if len(id) == 0 || len(id) > maxPasskeyID || strings.ContainsAny(ans.ID, "=\r\n") {
			t.Errorf("accepted the credential id %q", ans.ID)
		}
		c, err := parseClientData(ans.Response.ClientDataJSON)
		if err != nil {
			return
		}
		if att, err := parseAttestation(ans.Response.AttestationObject, c); err == nil {
			_ = att.verify()
			_ = att.names()
			if att.anchored(nil, time.Time{}) {
				t.Error("anchored without an anchor")
			}
		}
	})
}
