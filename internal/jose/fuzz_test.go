package jose

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// Whatever Parse accepts is spelled in its one valid way, and nothing verifies
// that was not signed.
func FuzzParse(f *testing.F) {
	k := mustKey(f, "k", ES256)
	f.Add(mustSign(f, k, "at+jwt", claims))
	f.Add("..")
	f.Add("e30.e30.")
	f.Add(b64(`{"alg":"none"}`) + "." + b64(`{}`) + ".")
	f.Add(b64(`{"alg":"ES256","kid":"k","typ":"at+jwt"}`) + "." + b64(`{"a":[[[[[]]]]]}`) + "." + b64(strings.Repeat("\x01", 64)))
	f.Fuzz(func(t *testing.T, token string) {
		u, err := Parse(token, 0)
		if err != nil {
			return
		}
		if len(token) > MaxBytes || strings.Count(token, ".") != 2 {
			t.Fatalf("accepted %q", token)
		}
		head, _, _ := strings.Cut(token, ".")
		raw, err := decode(head)
		if err != nil || b64(string(raw)) != head || b64(string(u.signature)) != token[len(u.signed)+1:] || !strings.HasSuffix(u.signed, "."+b64(string(u.payload))) {
			t.Fatalf("%q has another spelling", token)
		}
		other := mustKey(t, "k", ES256)
		if _, err := u.Verify(Want{Typ: []string{u.Typ}, Keys: Set{other.Public()}}); err == nil {
			t.Fatalf("%q verifies with a key that never signed", token)
		}
	})
}

// ParseObject accepts a part of what encoding/json accepts, and reads the same.
func FuzzParseObject(f *testing.F) {
	f.Add([]byte(claims))
	f.Add([]byte(`{"a":1,"\u0061":2}`))
	f.Add([]byte(`{"a":[{"b":"\ud83d\ude00"}],"c":-1.5e-3}`))
	f.Add([]byte("{\"a\":\"\\ud800\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseObject(data)
		if err != nil {
			return
		}
		var theirs map[string]json.RawMessage
		if err := json.Unmarshal(data, &theirs); err != nil {
			t.Fatalf("accepted %q, which is no JSON: %v", data, err)
		}
		if len(theirs) != len(o.Members()) {
			t.Fatalf("%q has %d members, not %d", data, len(theirs), len(o.Members()))
		}
		for _, m := range o.Members() {
			if !bytes.Equal(bytes.TrimSpace(theirs[m.Name]), m.Raw) {
				t.Fatalf("%q: member %q is %q, not %q", data, m.Name, theirs[m.Name], m.Raw)
			}
			if m.Raw[0] == '"' {
				var s string
				if err := json.Unmarshal(m.Raw, &s); err != nil || s != unquote(m.Raw) {
					t.Fatalf("text %q read as %q", m.Raw, unquote(m.Raw))
				}
			}
			_, _ = o.Time(m.Name)
			_, _ = o.Strings(m.Name)
			_, _ = o.Int(m.Name)
		}
	})
}

// A key set that is accepted survives being written and read again.
func FuzzParseSet(f *testing.F) {
	for _, alg := range []string{ES256, EdDSA} {
		f.Add(Set{mustKey(f, "k", alg).Public()}.JSON())
	}
	f.Add([]byte(`{"keys":[{"kty":"RSA","e":"AQAB","n":"AA"},{"kty":"oct","k":"AA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParseSet(data)
		if err != nil {
			return
		}
		again, err := ParseSet(set.JSON())
		if err != nil || len(again) != len(set) {
			t.Fatalf("%q reads as %d keys, then %d (%v)", data, len(set), len(again), err)
		}
		for i := range set {
			if !set[i].Equal(again[i]) || set[i].Alg != again[i].Alg || set[i].ID != again[i].ID {
				t.Fatalf("key %d of %q changed", i, data)
			}
		}
	})
}
