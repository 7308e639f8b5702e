package credential

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"testing"
	"time"
)

// WA-11: what real devices once said, about which their maker's root alone
// vouches, for as long as the certificates are good, and about nothing but that
// passkey. The roots of Apple and Google are fixed by the verification of their
// formats, so that no authority of our own can take their place. The statements
// are those of the tests of github.com/go-webauthn/webauthn.
func TestStatementsOfRealDevicesVouch(t *testing.T) {
	for name, device := range map[string]struct {
		certificates int
		names        bool
		another      string // a format that it is not
	}{
		"apple":   {2, false, "android-key"},
		"android": {5, true, "apple"},
	} {
		t.Run(name, func(t *testing.T) {
			root, read := statement(t, "testdata/attestation_"+name+".json")
			a := read()
			chain, ok := a.certificates()
			if err := a.verify(); err != nil || !ok || len(chain) != device.certificates {
				t.Fatalf("%v, %d certificates", err, len(chain))
			}
			from, until := chain[0].NotBefore, chain[0].NotAfter
			for _, c := range chain {
				if c.NotBefore.After(from) {
					from = c.NotBefore
				}
				if c.NotAfter.Before(until) {
					until = c.NotAfter
				}
			}
			if !a.anchored([]*x509.Certificate{root}, from.Add(time.Minute)) {
				t.Error("the maker's root does not vouch for it")
			}
			if a.anchored([]*x509.Certificate{root}, until.Add(time.Second)) || a.anchored([]*x509.Certificate{root}, from.Add(-time.Second)) {
				t.Error("vouched for outside of the certificates' time")
			}
			if a.anchored(nil, from.Add(time.Minute)) || a.anchored([]*x509.Certificate{chain[0]}, chain[0].NotAfter.Add(time.Hour)) {
				t.Error("vouched for by no root")
			}
			if a.names() != device.names {
				t.Errorf("it names its model: %t", a.names())
			}
			for what, change := range map[string]func(a *attestation){
				"another client data":        func(a *attestation) { a.hash[0] ^= 1 },
				"other authenticator data":   func(a *attestation) { a.object.RawAuthData[33] ^= 1 },
				"another key":                func(a *attestation) { k := a.object.AuthData.AttData.CredentialPublicKey; k[len(k)-1] ^= 1 },
				"no certificates":            func(a *attestation) { delete(a.object.AttStatement, "x5c") },
				"the authority's alone":      func(a *attestation) { a.object.AttStatement["x5c"] = a.object.AttStatement["x5c"].([]any)[1:] },
				"without what is in between": func(a *attestation) { a.object.AttStatement["x5c"] = a.object.AttStatement["x5c"].([]any)[:1] },
				"a certificate that was changed": func(a *attestation) {
					list := a.object.AttStatement["x5c"].([]any)
					der := bytes.Clone(list[0].([]byte))
					der[len(der)-1] ^= 1
					list[0] = der
				},
				"another format": func(a *attestation) { a.object.Format = device.another },
			} {
				b := read()
				change(&b)
				if err := b.verify(); err == nil {
					t.Errorf("%s: accepted", what)
				}
			}
		})
	}
}

// statement reads what a device said, afresh each time, and its maker's root.
func statement(t *testing.T, file string) (root *x509.Certificate, read func() attestation) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Root, ClientDataJSON, AttestationObject string }
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(v.Root))
	if root, err = x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	return root, func() attestation {
		t.Helper()
		c, err := parseClientData(v.ClientDataJSON)
		if err != nil {
			t.Fatal(err)
		}
		a, err := parseAttestation(v.AttestationObject, c)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}
