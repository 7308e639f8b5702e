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

// WA-11: what an iPhone once said, about which Apple's root alone vouches, for as
// long as the certificate is good, and about nothing but that passkey. Apple's root
// is fixed by the verification of the format, so that no authority of our own can
// take its place.
func TestAnAppleStatementVouches(t *testing.T) {
	text, err := os.ReadFile("testdata/attestation_apple.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Root, ClientDataJSON, AttestationObject string }
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(v.Root))
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	read := func() attestation {
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
	a := read()
	chain, ok := a.certificates()
	if err := a.verify(); err != nil || !ok || len(chain) != 2 {
		t.Fatalf("%v, %d certificates", err, len(chain))
	}
	then := chain[0].NotBefore.Add(time.Minute)
	if !a.anchored([]*x509.Certificate{root}, then) {
		t.Error("Apple's root does not vouch for it")
	}
	if a.anchored([]*x509.Certificate{root}, chain[0].NotAfter.Add(time.Second)) || a.anchored([]*x509.Certificate{root}, chain[0].NotBefore.Add(-time.Second)) {
		t.Error("vouched for outside of the certificate's time")
	}
	if a.anchored(nil, then) || a.anchored([]*x509.Certificate{chain[0]}, chain[0].NotAfter.Add(time.Hour)) {
		t.Error("vouched for by no root")
	}
	if a.names() {
		t.Error("it names a model that it does not stand for")
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
		"another format": func(a *attestation) { a.object.Format = "android-key" },
	} {
		b := read()
		change(&b)
		if err := b.verify(); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
