package jose

import "testing"

// Whatever is read as a proof was signed with the key whose thumbprint it has,
// and names addresses in one spelling.
func FuzzProof(f *testing.F) {
	k := mustKey(f, "", ES256)
	head := `{"typ":"dpop+jwt","alg":"ES256","jwk":` + string(k.Public().JWK()) + `}`
	f.Add(resign(f, k, head, `{"jti":"a","htm":"GET","htu":"https://a.example/b%2fc","iat":1}`))
	f.Add(resign(f, k, head, `{"jti":"","htm":1}`))
	f.Add(b64(head) + "." + b64(`{}`) + ".AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseProof(text)
		if err != nil {
			return
		}
		if len(text) > MaxProof || p.JTI == "" || p.JKT == "" || p.Issued.IsZero() && p.method == "" {
			t.Fatalf("accepted %q", text)
		}
		if own, ok := normalURL(p.url); ok {
			if again, ok := normalURL(own); !ok || again != own {
				t.Fatalf("%q is %q, then %q", p.url, own, again)
			}
		}
		if _, err := Parse(text, 0); err == nil {
			t.Fatal("a proof passes for another token")
		}
	})
}
