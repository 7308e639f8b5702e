// Package passkeytest is an authenticator and a browser in software, honest
// unless a test says otherwise: it answers the options that Cardea makes, and
// each part of its answers can be changed before and after it is signed. It
// writes CBOR by hand, so that it shares no code with what it tests.
package passkeytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
)

// The flags of authenticator data.
const (
	UP, UV, BE, BS, AT, ED = 1, 4, 8, 16, 64, 128
)

// The algorithms that it knows, by their COSE numbers.
const (
	ES256, EdDSA, RS256 = -7, -8, -257
)

// Authenticator holds passkeys. Set the fields before use.
type Authenticator struct {
	Origin string // what its browser says
	Flags  byte   // UP, UV, BE and BS
	Alg    int    // of new keys
	AAGUID [16]byte
	Step   uint32 // how much each signature adds to the counter; 0: it does not count
	Attest Attest // how it shows what it is; nil: not at all
	Keys   []*Key
}

// Attest makes a statement about a registration: its format and the statement
// as CBOR.
type Attest func(k *Key, authData, clientHash []byte) (format string, statement []byte)

// Key is one passkey.
type Key struct {
	ID, User []byte
	RPID     string
	Alg      int
	Count    uint32
	Signer   crypto.Signer
}

// New is a synced authenticator in a browser at origin.
func New(origin string) *Authenticator {
	return &Authenticator{Origin: origin, Flags: UP | UV | BE | BS, Alg: ES256}
}

// Parts are all that an answer is made of. A change of what is signed comes
// before, a change of bytes after.
type Parts struct {
	Type, Challenge, Origin string
	Client                  string // more members of the client data, such as `,"crossOrigin":true`
	RPIDHash                []byte
	Flags                   byte
	Count                   uint32
	AAGUID, ID, COSE        []byte // of a registration
	Extensions, Tail        []byte // behind the rest of the authenticator data
	Key                     *Key   // signs

	ClientData, AuthData, Signature, User []byte // of what is built
	Object                                []byte // the attestation object
	Transports                            []string
	Extra                                 map[string]any // members of the outermost object
}

// Change changes an answer: before the parts are put together and signed, or
// after.
type Change struct{ Before, After func(*Parts) }

// Before changes what is signed.
func Before(f func(*Parts)) Change { return Change{Before: f} }

// After changes what was signed.
func After(f func(*Parts)) Change { return Change{After: f} }

type options struct {
	Challenge string `json:"challenge"`
	RPID      string `json:"rpId"`
	RP        struct{ ID string }
	User      struct{ ID string }
	Allow     []struct{ ID string } `json:"allowCredentials"`
	Exclude   []struct{ ID string } `json:"excludeCredentials"`
}

func read(text []byte) (o options) {
	if err := json.Unmarshal(text, &o); err != nil {
		panic(err)
	}
	return o
}

// Create answers creation options with a new passkey.
func (a *Authenticator) Create(text []byte, changes ...Change) string {
	o := read(text)
	k := &Key{ID: random(32), User: un64(o.User.ID), RPID: o.RP.ID, Alg: a.Alg, Signer: NewKey(a.Alg)}
	a.Keys = append(a.Keys, k)
	hash := sha256.Sum256([]byte(o.RP.ID))
	p := &Parts{Type: "webauthn.create", Challenge: o.Challenge, Origin: a.Origin, RPIDHash: hash[:], Flags: a.Flags | AT, Count: k.Count,
		AAGUID: a.AAGUID[:], ID: k.ID, COSE: COSE(k.Signer.Public()), Key: k, Transports: []string{"internal", "hybrid"}}
	for _, c := range changes {
		if c.Before != nil {
			c.Before(p)
		}
	}
	p.build()
	p.AuthData = append(p.AuthData, p.AAGUID...)
	p.AuthData = binary.BigEndian.AppendUint16(p.AuthData, uint16(len(p.ID)))
	p.AuthData = append(append(p.AuthData, p.ID...), p.COSE...)
	p.AuthData = append(append(p.AuthData, p.Extensions...), p.Tail...)
	format, statement := "none", Map()
	if a.Attest != nil {
		client := sha256.Sum256(p.ClientData)
		format, statement = a.Attest(k, p.AuthData, client[:])
	}
	p.Object = Map(Text("fmt"), Text(format), Text("attStmt"), statement, Text("authData"), Bytes(p.AuthData))
	for _, c := range changes {
		if c.After != nil {
			c.After(p)
		}
	}
	return p.answer(map[string]any{"clientDataJSON": To64(p.ClientData), "attestationObject": To64(p.Object), "transports": p.Transports})
}

// Get answers request options with the newest passkey that they allow.
func (a *Authenticator) Get(text []byte, changes ...Change) string {
	o := read(text)
	k := a.find(o)
	k.Count += a.Step
	hash := sha256.Sum256([]byte(o.RPID))
	p := &Parts{Type: "webauthn.get", Challenge: o.Challenge, Origin: a.Origin, RPIDHash: hash[:], Flags: a.Flags, Count: k.Count, ID: k.ID, Key: k, User: k.User}
	for _, c := range changes {
		if c.Before != nil {
			c.Before(p)
		}
	}
	p.build()
	p.AuthData = append(append(p.AuthData, p.Extensions...), p.Tail...)
	client := sha256.Sum256(p.ClientData)
	p.Signature = Sign(p.Key, append(append([]byte{}, p.AuthData...), client[:]...))
	for _, c := range changes {
		if c.After != nil {
			c.After(p)
		}
	}
	return p.answer(map[string]any{"clientDataJSON": To64(p.ClientData), "authenticatorData": To64(p.AuthData), "signature": To64(p.Signature), "userHandle": To64(p.User)})
}

func (a *Authenticator) find(o options) *Key {
	for i := len(a.Keys) - 1; i >= 0; i-- {
		k := a.Keys[i]
		if len(o.Allow) == 0 && k.RPID == o.RPID {
			return k
		}
		for _, d := range o.Allow {
			if d.ID == To64(k.ID) {
				return k
			}
		}
	}
	panic("passkeytest: there is no passkey for this")
}

func (p *Parts) build() {
	p.ClientData = fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q%s}`, p.Type, p.Challenge, p.Origin, p.Client)
	p.AuthData = append(append([]byte{}, p.RPIDHash...), p.Flags)
	p.AuthData = binary.BigEndian.AppendUint32(p.AuthData, p.Count)
}

func (p *Parts) answer(response map[string]any) string {
	all := map[string]any{"id": To64(p.ID), "rawId": To64(p.ID), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": response}
	for name, v := range p.Extra {
		all[name] = v
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// NewKey makes a key of an algorithm.
func NewKey(alg int) (k crypto.Signer) {
	var err error
	switch alg {
	case EdDSA:
		_, k, err = ed25519.GenerateKey(rand.Reader)
	case RS256:
		k, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		panic(err)
	}
	return k
}

// Sign signs as a key's algorithm does.
func Sign(k *Key, text []byte) []byte {
	hash := sha256.Sum256(text)
	digest, o := hash[:], crypto.SignerOpts(crypto.SHA256)
	if _, ok := k.Signer.(ed25519.PrivateKey); ok {
		digest, o = text, crypto.Hash(0)
	}
	signature, err := k.Signer.Sign(rand.Reader, digest, o)
	if err != nil {
		panic(err)
	}
	return signature
}

// COSE is a public key as authenticators write it (RFC 9053).
func COSE(key crypto.PublicKey) []byte {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		return EC2(ES256, 1, point[1:33], point[33:])
	case ed25519.PublicKey:
		return Map(Int(1), Int(1), Int(3), Int(EdDSA), Int(-1), Int(6), Int(-2), Bytes(k))
	case *rsa.PublicKey:
		return RSA(RS256, k.N, k.E)
	}
	panic("passkeytest: unknown key")
}

// EC2 is a COSE key on a curve.
func EC2(alg, curve int, x, y []byte) []byte {
	return Map(Int(1), Int(2), Int(3), Int(alg), Int(-1), Int(curve), Int(-2), Bytes(x), Int(-3), Bytes(y))
}

// RSA is a COSE key of RSA.
func RSA(alg int, n *big.Int, e int) []byte {
	return Map(Int(1), Int(3), Int(3), Int(alg), Int(-1), Bytes(n.Bytes()), Int(-2), Bytes(big.NewInt(int64(e)).Bytes()))
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// To64 writes base64url without padding.
func To64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func un64(text string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}
