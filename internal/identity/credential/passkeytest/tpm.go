package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
)

// TPM is a module whose key is certified by a vendor, with all that a statement
// of it says (Trusted Platform Module Library, part 2; WebAuthn Level 3, section
// 8.3). A change of a member is one of what is signed.
type TPM struct {
	Version      string
	Magic        uint32
	Type         uint16
	Extra        func(hash []byte) []byte // what is certified about
	Name         func(name []byte) []byte // of the key that is certified
	PublicArea   func(area []byte) []byte
	Signature    func(signature []byte) []byte
	Manufacturer string
	Usage        asn1.ObjectIdentifier
	Subject      string
	CA           bool
}

// NewTPM is one as they are.
func NewTPM() TPM {
	same := func(b []byte) []byte { return b }
	return TPM{Version: "2.0", Magic: 0xff544347, Type: 0x8017, Extra: same, Name: same, PublicArea: same, Signature: same,
		Manufacturer: "id:494E5443", Usage: asn1.ObjectIdentifier{2, 23, 133, 8, 3}}
}

// Attest vouches in the format tpm for passkeys of ES256.
func (m TPM) Attest(v *Vendor) Attest {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	t := certificate(m.Subject)
	t.IsCA, t.UnknownExtKeyUsage = m.CA, []asn1.ObjectIdentifier{m.Usage}
	t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: m.names()}}
	if m.Subject == "" {
		t.Subject = pkix.Name{}
	}
	leaf := sign(t, v.Certificate, key, v.key)
	return func(k *Key, authData, clientHash []byte) (string, []byte) {
		point, err := k.Signer.Public().(*ecdsa.PublicKey).Bytes()
		must(err)
		// TPMT_PUBLIC: ECC, SHA-256, attributes, no policy, P-256 without schemes.
		area := m.PublicArea(blocks([]byte{0, 0x23, 0, 0x0b, 0, 4, 0, 0x72, 0, 0, 0, 0x10, 0, 0x10, 0, 3, 0, 0x10}, point[1:33], point[33:]))
		sum := sha256.Sum256(area)
		about := sha256.Sum256(append(append([]byte{}, authData...), clientHash...))
		// TPMS_ATTEST: magic, type, signer, extra data, clock and firmware, name.
		info := binary.BigEndian.AppendUint32(nil, m.Magic)
		info = binary.BigEndian.AppendUint16(info, m.Type)
		info = blocks(info, nil, m.Extra(about[:]))
		info = append(info, make([]byte, 8+4+4+1+8)...)
		info = blocks(info, m.Name(append([]byte{0, 0x0b}, sum[:]...)), nil)
		signature := m.Signature(Sign(&Key{Signer: key}, info))
		return "tpm", Map(Text("ver"), Text(m.Version), Text("alg"), Int(ES256), Text("sig"), Bytes(signature), Text("certInfo"), Bytes(info),
			Text("pubArea"), Bytes(area), Text("x5c"), Array(Bytes(leaf.Raw)))
	}
}

// names are the alternative names that tell whose the module is.
func (m TPM) names() []byte {
	name := pkix.RDNSequence{}
	for i, value := range []string{m.Manufacturer, "module", "id:0001"} {
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: asn1.ObjectIdentifier{2, 23, 133, 2, i + 1}, Value: value}})
	}
	der, err := asn1.Marshal(name)
	must(err)
	value, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: der}})
	must(err)
	return value
}

// blocks adds blocks that begin with their length.
func blocks(b []byte, all ...[]byte) []byte {
	for _, one := range all {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(one))), one...)
	}
	return b
}
