package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"time"
)

// Self signs with the passkey itself (packed self attestation).
func Self(k *Key, authData, clientHash []byte) (string, []byte) {
	signature := Sign(k, append(append([]byte{}, authData...), clientHash...))
	return "packed", Map(Text("alg"), Int(k.Alg), Text("sig"), Bytes(signature))
}

// Vendor makes authenticators and vouches for them.
type Vendor struct {
	Certificate *x509.Certificate // its root
	key         *ecdsa.PrivateKey
}

// NewVendor makes one whose certificates are valid for a long time around now.
func NewVendor(name string) *Vendor {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	t := certificate(name)
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign
	return &Vendor{sign(t, t, key, key), key}
}

// PEM is the vendor's root as operators configure it.
func (v *Vendor) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.Certificate.Raw}))
}

// Packed vouches for a model in the format packed. named says whether the
// certificate names the model.
func (v *Vendor) Packed(model [16]byte, named bool) Attest {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	t := certificate("Batch")
	t.Subject = pkix.Name{Country: []string{"DE"}, Organization: []string{"Vendor"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Batch"}
	if named {
		value, err := asn1.Marshal(model[:])
		must(err)
		t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: value}}
	}
	leaf := sign(t, v.Certificate, key, v.key)
	return func(k *Key, authData, clientHash []byte) (string, []byte) {
		signature := Sign(&Key{Signer: key}, append(append([]byte{}, authData...), clientHash...))
		return "packed", Map(Text("alg"), Int(ES256), Text("sig"), Bytes(signature), Text("x5c"), Array(Bytes(leaf.Raw), Bytes(v.Certificate.Raw)))
	}
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), BasicConstraintsValid: true}
}

func sign(t, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), by)
	must(err)
	c, err := x509.ParseCertificate(der)
	must(err)
	return c
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
