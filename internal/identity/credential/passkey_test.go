package credential_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	pk "github.com/cardea-id/cardea/internal/identity/credential/passkeytest"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/realm"
)

const (
	site    = "https://id.example.com"
	browser = "the browser"
)

func (e env) realm(t *testing.T) *realm.Realm {
	t.Helper()
	re, err := e.realms.ByName(t.Context(), dbtest.Realm)
	if err != nil {
		t.Fatal(err)
	}
	return re
}

func (e env) set(t *testing.T, settings map[string]any) {
	t.Helper()
	if _, err := e.realms.Update(t.Context(), audittest.By, dbtest.Realm, e.realm(t).Version, realm.Change{Settings: settings}); err != nil {
		t.Fatal(err)
	}
}

func (e env) creation(t *testing.T, person string) []byte {
	t.Helper()
	who, err := e.dir.ByID(t.Context(), dbtest.Realm, person)
	if err != nil {
		t.Fatal(err)
	}
	o, err := e.passkeys.CreationOptions(t.Context(), e.realm(t), who, browser)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (e env) request(t *testing.T, c credential.Ceremony) []byte {
	t.Helper()
	o, err := e.passkeys.RequestOptions(t.Context(), e.realm(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func signIn() credential.Ceremony {
	return credential.Ceremony{Purpose: credential.ToSignIn, Browser: browser}
}

func confirm(person string) credential.Ceremony {
	return credential.Ceremony{Purpose: credential.ToConfirm, Browser: browser, Principal: person}
}

func (e env) register(t *testing.T, person, answer string) (credential.Credential, error) {
	t.Helper()
	c, proof, err := e.passkeys.Register(t.Context(), audittest.By, dbtest.Realm, credential.NewPasskey{Principal: person, Browser: browser, Answer: answer})
	if err == nil && (proof.Credential != c.ID || proof.Principal.ID != person) {
		t.Errorf("registering proved %+v", proof)
	}
	return c, err
}

// passkey gives a person a passkey of an authenticator.
func (e env) passkey(t *testing.T, a *pk.Authenticator, person string) credential.Credential {
	t.Helper()
	c, err := e.register(t, person, a.Create(e.creation(t, person)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (e env) assert(t *testing.T, c credential.Ceremony, answer string) (credential.PasskeyProof, error) {
	t.Helper()
	return e.passkeys.Check(t.Context(), audittest.By, dbtest.Realm, credential.PasskeyAttempt{Ceremony: c, Answer: answer})
}

// reason is why the log says that the last attempt was refused.
func (e env) reason(t *testing.T) string {
	t.Helper()
	e.Clock.Advance(time.Millisecond) // segments are in the order of their time
	if err := e.Log.FlushActivity(t.Context()); err != nil {
		t.Fatal(err)
	}
	for f := (audit.ActivityFilter{}); ; {
		found, err := e.Log.Activities(t.Context(), dbtest.Realm, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range found.Records {
			if strings.HasSuffix(a.Action, ".refuse") {
				return a.Reason
			}
		}
		if f.After = found.Next; found.Next == "" {
			return ""
		}
	}
}

// refuses expects that an attempt failed for one reason, of which whoever tried
// is told no more than code.
func (e env) refuses(t *testing.T, what string, err error, code, reason string) {
	t.Helper()
	if fault.Code(err) != code || !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Conflict) {
		t.Errorf("%s: %v, want %s", what, err, code)
	} else if got := e.reason(t); reason != "" && got != reason {
		t.Errorf("%s: refused for %q, want %q", what, got, reason)
	}
}

func TestAPasskeySignsIn(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		for _, alg := range []int{pk.ES256, pk.EdDSA, pk.RS256} {
			a := pk.New(site)
			a.Alg = alg
			copy(a.AAGUID[:], []byte{0xea, 0x9b, 0x8d, 0x66, 0x4d, 0x01, 0x1d, 0x21, 0x3c, 0xe4, 0xb6, 0xb4, 0x8c, 0xb5, 0x75, 0xd4})
			made := e.passkey(t, a, ada)
			if info, ok := made.Passkey(); !ok || made.Name != "Google Password Manager" || !info.Synced || !info.BackedUp || info.Attested {
				t.Errorf("alg %d: made %+v, %+v", alg, made, info)
			}
			got, err := e.assert(t, signIn(), a.Get(e.request(t, signIn())))
			if err != nil || got.Principal.ID != ada || got.Credential != made.ID || !got.Verified || !slices.Equal(got.AMR(), []string{"swk", "user", "mfa"}) {
				t.Errorf("alg %d: %+v, %v", alg, got, err)
			}
			if got, err = e.assert(t, confirm(ada), a.Get(e.request(t, confirm(ada)))); err != nil || got.Principal.ID != ada {
				t.Errorf("alg %d confirming: %+v, %v", alg, got, err)
			}
			if kept, err := e.store.ByID(t.Context(), dbtest.Realm, made.ID); err != nil || kept.LastUsedAt.IsZero() {
				t.Errorf("alg %d: last used %v, %v", alg, kept.LastUsedAt, err)
			}
		}
	})
}

func TestAuthenticatorsLearnNothingOfAPerson(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, bob := e.person(t, "ada"), e.person(t, "bob")
		a, b := pk.New(site), pk.New(site)
		e.passkey(t, a, ada)
		e.passkey(t, a, ada)
		e.passkey(t, b, bob)
		if !bytes.Equal(a.Keys[0].User, a.Keys[1].User) || bytes.Equal(a.Keys[0].User, b.Keys[0].User) || len(a.Keys[0].User) != 32 {
			t.Errorf("user handles %x, %x and %x", a.Keys[0].User, a.Keys[1].User, b.Keys[0].User)
		}
		if bytes.Contains(a.Keys[0].User, []byte(ada)) || strings.Contains(string(e.request(t, signIn())), pk.To64(a.Keys[0].ID)) {
			t.Error("a name is where none should be")
		}
		if o := string(e.creation(t, ada)); !strings.Contains(o, `"rpId"`) && !strings.Contains(o, pk.To64(a.Keys[0].ID)) {
			t.Errorf("what is registered is not excluded: %s", o)
		}
	})
}

// TestEveryFieldOfARegistrationCounts changes one thing at a time (WA-02 to
// WA-07, WA-09).
func TestEveryFieldOfARegistrationCounts(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		victim := pk.New(site)
		e.passkey(t, victim, e.person(t, "bob"))
		p256 := pk.COSE(pk.NewKey(pk.ES256).Public())
		offCurve := bytes.Clone(p256)
		offCurve[len(offCurve)-1] ^= 1
		for _, c := range append(ceremonyMutations("webauthn.get"), []mutation{
			{"no attested data", "attestation_malformed", pk.Before(func(p *pk.Parts) { p.Flags &^= pk.AT })},
			{"a credential id of its own", "credential_id", pk.After(func(p *pk.Parts) { p.ID = []byte("another") })},
			{"an empty credential id", "credential_id", pk.Before(func(p *pk.Parts) { p.ID = nil })},
			{"a credential id of 1024 bytes", "", pk.Before(func(p *pk.Parts) { p.ID = make([]byte, 1024) })},
			{"somebody else's credential id", "passkey_registered", pk.Before(func(p *pk.Parts) { p.ID = victim.Keys[0].ID })},
			{"an algorithm that was not offered", "key_unusable", pk.Before(func(p *pk.Parts) { p.COSE = pk.EC2(-35, 2, make([]byte, 48), make([]byte, 48)) })},
			{"PS256", "algorithm", pk.Before(func(p *pk.Parts) { p.COSE = pk.RSA(-37, odd(2048), 65537) })},
			{"a point that is on no curve", "key_unusable", pk.Before(func(p *pk.Parts) { p.COSE = offCurve })},
			{"the point at infinity", "key_unusable", pk.Before(func(p *pk.Parts) { p.COSE = pk.EC2(-7, 1, make([]byte, 32), make([]byte, 32)) })},
			{"ES256 on another curve", "key_unusable", pk.Before(func(p *pk.Parts) { p.COSE = pk.EC2(-7, 2, p256[10:42], p256[45:]) })},
			{"no curve", "", pk.Before(func(p *pk.Parts) {
				p.COSE = pk.Map(pk.Int(1), pk.Int(2), pk.Int(3), pk.Int(-7), pk.Int(-2), pk.Bytes(p256[10:42]), pk.Int(-3), pk.Bytes(p256[45:]))
			})},
			{"an RSA key with the type of a curve", "", pk.Before(func(p *pk.Parts) {
				p.COSE = pk.Map(pk.Int(1), pk.Int(2), pk.Int(3), pk.Int(-257), pk.Int(-1), pk.Bytes(odd(2048).Bytes()), pk.Int(-2), pk.Bytes([]byte{1, 0, 1}))
			})},
			{"RSA of 1024 bits", "rsa_key_size", pk.Before(func(p *pk.Parts) { p.COSE = pk.RSA(pk.RS256, odd(1024), 65537) })},
			{"RSA of 2047 bits", "rsa_key_size", pk.Before(func(p *pk.Parts) { p.COSE = pk.RSA(pk.RS256, odd(2047), 65537) })},
			{"RSA of 8192 bits", "rsa_key_size", pk.Before(func(p *pk.Parts) { p.COSE = pk.RSA(pk.RS256, odd(8192), 65537) })},
			{"RSA with exponent 1", "rsa_key_exponent", pk.Before(func(p *pk.Parts) { p.COSE = pk.RSA(pk.RS256, odd(2048), 1) })},
			{"no key", "", pk.Before(func(p *pk.Parts) { p.COSE = nil })},
			{"a key that is no map", "", pk.Before(func(p *pk.Parts) { p.COSE = pk.Int(7) })},
			{"a key with a member twice", "", pk.Before(func(p *pk.Parts) { p.COSE = pk.Map(pk.Int(1), pk.Int(2), pk.Int(1), pk.Int(2)) })},
			{"an object that goes on", "attestation_malformed", pk.After(func(p *pk.Parts) { p.Object = append(p.Object, 0) })},
			{"an object that is cut off", "attestation_malformed", pk.After(func(p *pk.Parts) { p.Object = p.Object[:len(p.Object)-1] })},
			{"an unknown format", "attestation_statement", pk.After(func(p *pk.Parts) {
				p.Object = bytes.Replace(p.Object, []byte("\x64none"), []byte("\x64nine"), 1)
			})},
			{"none with a statement", "attestation_statement", pk.After(func(p *pk.Parts) {
				p.Object = pk.Map(pk.Text("fmt"), pk.Text("none"), pk.Text("attStmt"), pk.Map(pk.Text("a"), pk.Int(1)), pk.Text("authData"), pk.Bytes(p.AuthData))
			})},
		}...) {
			a := pk.New(site)
			_, err := e.register(t, ada, a.Create(e.creation(t, ada), c.change))
			code := "passkey_refused"
			if c.reason == "passkey_registered" {
				e.refuses(t, c.what, err, c.reason, "")
				continue
			}
			e.refuses(t, c.what, err, code, c.reason)
		}
		if have, err := e.store.List(t.Context(), dbtest.Realm, ada); err != nil || len(have) != 1 {
			t.Errorf("ada has %d credentials, want her password only", len(have))
		}
	})
}

type mutation struct {
	what, reason string
	change       pk.Change
}

// ceremonyMutations are those that no ceremony may accept. other is the type of
// the other one.
func ceremonyMutations(other string) []mutation {
	list := []mutation{
		{"the type of the other ceremony", "type", pk.Before(func(p *pk.Parts) { p.Type = other })},
		{"no type", "type", pk.Before(func(p *pk.Parts) { p.Type = "" })},
		{"another challenge", "challenge", pk.Before(func(p *pk.Parts) { p.Challenge = pk.To64(make([]byte, 56)) })},
		{"a challenge with a bit more", "challenge", pk.Before(func(p *pk.Parts) { p.Challenge += "A" })},
		{"a challenge in other letters", "challenge", pk.Before(func(p *pk.Parts) { p.Challenge = strings.ToUpper(p.Challenge) })},
		{"a padded challenge", "challenge", pk.Before(func(p *pk.Parts) { p.Challenge += "=" })},
		{"no challenge", "challenge", pk.Before(func(p *pk.Parts) { p.Challenge = "" })},
		{"a frame of another origin", "cross_origin", pk.Before(func(p *pk.Parts) { p.Client = `,"crossOrigin":true` })},
		{"a top origin", "top_origin", pk.Before(func(p *pk.Parts) { p.Client = `,"crossOrigin":false,"topOrigin":"https://evil.example"` })},
		{"our own origin as top origin", "top_origin", pk.Before(func(p *pk.Parts) { p.Client = `,"topOrigin":"` + site + `"` })},
		{"crossOrigin of another type", "client_data_malformed", pk.Before(func(p *pk.Parts) { p.Client = `,"crossOrigin":"false"` })},
		{"an origin twice", "client_data_malformed", pk.Before(func(p *pk.Parts) { p.Client = `,"origin":"` + site + `"` })},
		{"client data that go on", "client_data_malformed", pk.After(func(p *pk.Parts) { p.ClientData = append(p.ClientData, "{}"...) })},
		{"client data that are an array", "client_data_malformed", pk.After(func(p *pk.Parts) { p.ClientData = []byte(`["type"]`) })},
		{"client data that are no JSON", "client_data_malformed", pk.After(func(p *pk.Parts) { p.ClientData = []byte{0xff} })},
		{"no client data", "client_data_malformed", pk.After(func(p *pk.Parts) { p.ClientData = nil })},
		{"another relying party", "rp_id_hash", pk.Before(func(p *pk.Parts) { p.RPIDHash = bytes.Repeat([]byte{7}, 32) })},
		{"a hash with one bit changed", "rp_id_hash", pk.Before(func(p *pk.Parts) { p.RPIDHash = bytes.Clone(p.RPIDHash); p.RPIDHash[31] ^= 1 })},
		{"nobody present", "user_presence", pk.Before(func(p *pk.Parts) { p.Flags &^= pk.UP })},
		{"nobody verified", "user_verification", pk.Before(func(p *pk.Parts) { p.Flags &^= pk.UV })},
		{"backed up and not to be", "backup_flags", pk.Before(func(p *pk.Parts) { p.Flags &^= pk.BE })},
		{"extensions that are not there", "", pk.Before(func(p *pk.Parts) { p.Flags |= pk.ED })},
		{"extensions that are no map", "", pk.Before(func(p *pk.Parts) { p.Flags |= pk.ED; p.Extensions = pk.Int(1) })},
		{"a byte behind the end", "", pk.Before(func(p *pk.Parts) { p.Tail = []byte{0} })},
		{"another type of credential", "answer_malformed", pk.After(func(p *pk.Parts) { p.Extra = map[string]any{"type": "password"} })},
		{"two credential ids", "answer_malformed", pk.After(func(p *pk.Parts) { p.Extra = map[string]any{"rawId": "AAAA"} })},
		{"a padded credential id", "credential_id", pk.After(func(p *pk.Parts) { s := pk.To64(p.ID) + "="; p.Extra = map[string]any{"id": s, "rawId": s} })},
		{"an answer of 100 KB", "answer_too_long", pk.After(func(p *pk.Parts) { p.Extra = map[string]any{"x": strings.Repeat("x", 100_000)} })},
	}
	for _, o := range []string{"https://badid.example.com", "https://id.example.com.evil.example", "http://id.example.com", "https://id.example.com:443", "https://id.example.com:8443",
		"https://x.id.example.com", "https://example.com", "https://id.example.com.", "https://ID.example.com", "HTTPS://id.example.com", "https://id.example.com/", "https://user@id.example.com",
		"https://id.example.com\u2024evil", "null", "", "android:apk-key-hash:AAAA", " https://id.example.com"} {
		list = append(list, mutation{"the origin " + o, "origin", pk.Before(func(p *pk.Parts) { p.Origin = o })})
	}
	return list
}

// odd is an odd number of so many bits: no key, but one has to look to know.
func odd(bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return n.Or(n, big.NewInt(1))
}

// TestEveryFieldOfAnAssertionCounts is the same for signing in (WA-02 to WA-05,
// WA-08, WA-09).
func TestEveryFieldOfAnAssertionCounts(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, bob := e.person(t, "ada"), e.person(t, "bob")
		a, b := pk.New(site), pk.New(site)
		e.passkey(t, a, ada)
		e.passkey(t, b, bob)
		other := b.Keys[0]
		for _, c := range append(ceremonyMutations("webauthn.create"), []mutation{
			{"attested data", "authenticator_data_malformed", pk.Before(func(p *pk.Parts) {
				p.Flags |= pk.AT
				p.Tail = append(append(make([]byte, 16), 0, 1, 9), pk.Map()...)
			})},
			{"cut off", "authenticator_data_malformed", pk.After(func(p *pk.Parts) { p.AuthData = p.AuthData[:36] })},
			{"the counter changed", "signature", pk.After(func(p *pk.Parts) { p.AuthData[36]++ })},
			{"a reserved flag changed", "signature", pk.After(func(p *pk.Parts) { p.AuthData[32] ^= 2 })},
			{"client data with a space", "signature", pk.After(func(p *pk.Parts) { p.ClientData = append(p.ClientData, ' ') })},
			{"no signature", "signature", pk.After(func(p *pk.Parts) { p.Signature = nil })},
			{"a bit of the signature changed", "signature", pk.After(func(p *pk.Parts) { p.Signature[len(p.Signature)-1] ^= 1 })},
			{"a signature that goes on", "signature", pk.After(func(p *pk.Parts) { p.Signature = append(p.Signature, 0) })},
			{"a signature of zeros (r = s = 0)", "signature", pk.After(func(p *pk.Parts) { p.Signature = []byte{0x30, 6, 2, 1, 0, 2, 1, 0} })},
			{"a key of somebody else", "signature", pk.Before(func(p *pk.Parts) { p.Key = other })},
			{"somebody else's credential id", "user_handle", pk.Before(func(p *pk.Parts) { p.ID = other.ID })},
			{"somebody else's user handle", "user_handle", pk.Before(func(p *pk.Parts) { p.User = other.User })},
			{"no user handle", "user_handle", pk.Before(func(p *pk.Parts) { p.User = nil })},
			{"no longer to be backed up", "backup_eligibility", pk.Before(func(p *pk.Parts) { p.Flags &^= pk.BE | pk.BS })},
			{"an unknown credential", "passkey_removed", pk.Before(func(p *pk.Parts) { p.ID = []byte("unknown") })},
			{"an unknown credential of an unknown person", "passkey_unknown", pk.Before(func(p *pk.Parts) { p.ID, p.User = []byte("unknown"), make([]byte, 32) })},
		}...) {
			answer := a.Get(e.request(t, signIn()), c.change)
			_, err := e.assert(t, signIn(), answer)
			code := "passkey_refused"
			if strings.HasPrefix(c.reason, "passkey_") {
				code = c.reason
			}
			e.refuses(t, c.what, err, code, c.reason)
		}
		if got, err := e.assert(t, signIn(), a.Get(e.request(t, signIn()))); err != nil || got.Principal.ID != ada {
			t.Errorf("afterwards: %+v, %v", got, err)
		}
	})
}

func TestWhoeverConfirmsMustBeWhoTheyAre(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, bob := e.person(t, "ada"), e.person(t, "bob")
		a, b := pk.New(site), pk.New(site)
		e.passkey(t, a, ada)
		e.passkey(t, b, bob)
		asked := e.request(t, confirm(ada))
		if !strings.Contains(string(asked), pk.To64(a.Keys[0].ID)) || strings.Contains(string(asked), pk.To64(b.Keys[0].ID)) {
			t.Errorf("the options are %s", asked)
		}
		_, err := e.assert(t, confirm(ada), b.Get(e.request(t, signIn()), pk.Before(func(p *pk.Parts) { p.Challenge = challengeOf(t, asked) })))
		e.refuses(t, "bob's passkey for ada", err, "passkey_refused", "other_owner")
		_, err = e.assert(t, confirm(ada), a.Get(e.request(t, confirm(ada)), pk.Before(func(p *pk.Parts) { p.User = b.Keys[0].User })))
		e.refuses(t, "bob's user handle", err, "passkey_refused", "user_handle")
		if _, err := e.assert(t, confirm(ada), a.Get(e.request(t, confirm(ada)), pk.Before(func(p *pk.Parts) { p.User = nil }))); err != nil {
			t.Errorf("a security key that returns no user handle: %v", err)
		}
		e.set(t, map[string]any{"passkey_user_verification": "preferred"})
		unverified := pk.Before(func(p *pk.Parts) { p.Flags &^= pk.UV })
		if got, err := e.assert(t, confirm(ada), a.Get(e.request(t, confirm(ada)), unverified)); err != nil || got.Verified || slices.Contains(got.AMR(), "mfa") {
			t.Errorf("beside a password: %+v, %v", got, err)
		}
		_, err = e.assert(t, signIn(), a.Get(e.request(t, signIn()), unverified))
		e.refuses(t, "alone", err, "passkey_refused", "user_verification")
		if err := e.dir.Suspend(t.Context(), audittest.By, dbtest.Realm, ada, "test"); err != nil {
			t.Fatal(err)
		}
		_, err = e.assert(t, signIn(), a.Get(e.request(t, signIn())))
		e.refuses(t, "suspended", err, "passkey_refused", "principal_suspended")
	})
}

func challengeOf(t *testing.T, options []byte) string {
	t.Helper()
	var o struct{ Challenge string }
	if err := json.Unmarshal(options, &o); err != nil {
		t.Fatal(err)
	}
	return o.Challenge
}

// TestAChallengeIsGoodForOneThingOnce: WA-01.
func TestAChallengeIsGoodForOneThingOnce(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, bob := e.person(t, "ada"), e.person(t, "bob")
		a := pk.New(site)
		e.passkey(t, a, ada)
		answer := a.Get(e.request(t, signIn()))
		if _, err := e.assert(t, signIn(), answer); err != nil {
			t.Fatal(err)
		}
		_, err := e.assert(t, signIn(), answer)
		e.refuses(t, "again", err, "passkey_expired", "challenge_reused")
		// As another node has it, or the same after a restart.
		again := credential.NewPasskeys(e.DB, e.Log, e.realms, e.dir, e.store, once.New(e.DB, e.Log.Epoch), make([]byte, 32))
		_, err = again.Check(t.Context(), audittest.By, dbtest.Realm, credential.PasskeyAttempt{Ceremony: signIn(), Answer: answer})
		e.refuses(t, "again on another node", err, "passkey_expired", "challenge_reused")

		for what, c := range map[string]credential.Ceremony{
			"in another browser":  {Purpose: credential.ToSignIn, Browser: "another"},
			"in no browser":       {Purpose: credential.ToSignIn},
			"to confirm":          {Purpose: credential.ToConfirm, Browser: browser},
			"to confirm as ada":   confirm(ada),
			"to sign in as ada":   {Purpose: credential.ToSignIn, Browser: browser, Principal: ada},
			"for no purpose":      {Browser: browser},
			"for an unknown one":  {Purpose: "x", Browser: browser},
			"for the other thing": {Purpose: credential.ToRegister, Browser: browser},
		} {
			_, err := e.assert(t, c, a.Get(e.request(t, signIn())))
			if fault.Code(err) != "passkey_refused" {
				t.Errorf("%s: %v", what, err)
			}
		}
		// A challenge to make a passkey proves nobody. Leave the purpose out of
		// challengeMAC to see it fail.
		var making, asking map[string]any
		for text, to := range map[*map[string]any][]byte{&making: e.creation(t, ada), &asking: e.request(t, confirm(ada))} {
			if err := json.Unmarshal(to, text); err != nil {
				t.Fatal(err)
			}
		}
		asking["challenge"] = making["challenge"]
		mixed, err := json.Marshal(asking)
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.assert(t, confirm(ada), a.Get(mixed))
		e.refuses(t, "confirmed by what was to make one", err, "passkey_refused", "challenge")
		// Options of one person do not make a passkey of another, nor in another realm.
		_, err = e.register(t, bob, pk.New(site).Create(e.creation(t, ada)))
		e.refuses(t, "registered as another", err, "passkey_refused", "challenge")
		_, _, err = e.passkeys.Register(t.Context(), audittest.By, dbtest.Neighbour, credential.NewPasskey{Principal: ada, Browser: browser, Answer: pk.New(site).Create(e.creation(t, ada))})
		if fault.Code(err) != "passkey_refused" {
			t.Errorf("registered in another realm: %v", err)
		}
		made := pk.New(site).Create(e.creation(t, ada))
		if _, err := e.register(t, ada, made); err != nil {
			t.Fatal(err)
		}
		_, err = e.register(t, ada, made)
		e.refuses(t, "registered again", err, "passkey_expired", "challenge_reused")

		late := a.Get(e.request(t, signIn()))
		e.Clock.Advance(credential.ChallengeLife)
		_, err = e.assert(t, signIn(), late)
		e.refuses(t, "late", err, "passkey_expired", "challenge_expired")

		// What was wrong was tried, too.
		asked := e.request(t, signIn())
		_, err = e.assert(t, signIn(), a.Get(asked, pk.After(func(p *pk.Parts) { p.Signature[9] ^= 1 })))
		e.refuses(t, "wrong", err, "passkey_refused", "signature")
		_, err = e.assert(t, signIn(), a.Get(asked))
		e.refuses(t, "right after wrong", err, "passkey_expired", "challenge_reused")
	})
}

func TestOfManyAtOnceOneUsesAChallenge(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		a := pk.New(site)
		e.passkey(t, a, ada)
		answer := a.Get(e.request(t, signIn()))
		var wait sync.WaitGroup
		var mu sync.Mutex
		var opened int
		for range 20 {
			wait.Go(func() {
				if _, err := e.assert(t, signIn(), answer); err == nil {
					mu.Lock()
					opened++
					mu.Unlock()
				} else if fault.Code(err) != "passkey_expired" {
					t.Errorf("refused with %v", err)
				}
			})
		}
		wait.Wait()
		if opened != 1 {
			t.Errorf("%d of 20 opened, want 1", opened)
		}
	})
}

// TestAUseHoldsForThePasskeyAsItWas: WA-10. What was found right is written down
// only while the passkey is as it was found: of two answers that count alike one
// opens something, and none of a passkey that is removed meanwhile. Leave
// "data = $3" out of askUse to see it fail.
func TestAUseHoldsForThePasskeyAsItWas(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		a := pk.New(site)
		a.Step = 1
		c := e.passkey(t, a, e.person(t, "ada"))
		look := func() *credential.PasskeyUse {
			t.Helper()
			_, use, err := e.passkeys.Evaluate(t.Context(), audittest.By, dbtest.Realm, credential.PasskeyAttempt{Ceremony: signIn(), Answer: a.Get(e.request(t, signIn()))})
			if err != nil || use == nil {
				t.Fatalf("%+v, %v", use, err)
			}
			return use
		}
		write := func(use *credential.PasskeyUse) error {
			return e.DB.UpdateRC(t.Context(), dbtest.Realm, use.WriteTx)
		}
		first := look()
		a.Keys[0].Count-- // a copy has the same count
		second := look()
		if err := write(first); err != nil {
			t.Fatal(err)
		}
		if err := write(second); !credential.Refused(err) {
			t.Errorf("the same count again: %v", err)
		}
		third := look()
		if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, c.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if err := write(third); !credential.Refused(err) {
			t.Errorf("of a removed one: %v", err)
		}
	})
}

// A passkey that was found before is found in memory, which may be old: that an
// answer is right shows when it is written down, and that it is wrong only the
// database says. Here it changes behind the back of this node.
func TestAPasskeyInMemoryIsNotBelieved(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		a := pk.New(site)
		a.Step = 1
		ada := e.person(t, "ada")
		c := e.passkey(t, a, ada)
		look := func(but ...pk.Change) (*credential.PasskeyUse, *dbtest.Traffic, error) {
			t.Helper()
			attempt := credential.PasskeyAttempt{Ceremony: signIn(), Answer: a.Get(e.request(t, signIn()), but...)}
			ctx, sent := dbtest.Watch(t.Context())
			_, use, err := e.passkeys.Evaluate(ctx, audittest.By, dbtest.Realm, attempt)
			return use, sent, err
		}
		behind := func(change string, args ...any) {
			t.Helper()
			if err := e.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error {
				n, err := tx.Exec(`UPDATE credentials SET `+change+` WHERE realm = $1 AND id = $2`, append([]any{tx.Realm, c.ID}, args...)...)
				if n != 1 {
					t.Errorf("%d passkeys changed", n)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		remember := func() {
			t.Helper()
			for range 2 { // the first one finds whose it is, the second one what it is
				if _, _, err := look(); err != nil {
					t.Fatal(err)
				}
			}
		}
		remember()
		if use, sent, err := look(); use == nil || err != nil || sent.Trips() != 0 {
			t.Errorf("%+v, %v%s", use, err, sent)
		}
		for range 2 { // strangers fill no memory
			_, sent, err := look(pk.Before(func(p *pk.Parts) { p.ID = []byte("unknown") }))
			if fault.Code(err) != "passkey_removed" || sent.Trips() == 0 {
				t.Errorf("one that is nobody's: %v%s", err, sent)
			}
		}
		// Wrong by what is remembered, right by what is so.
		if use, _, err := look(); err != nil || e.DB.UpdateRC(t.Context(), dbtest.Realm, use.WriteTx) != nil {
			t.Fatalf("a use was not written: %v", err)
		}
		remember()
		behind(`data = replace(data, $3, '"count":0')`, fmt.Sprintf(`"count":%d`, a.Keys[0].Count-2))
		a.Keys[0].Count = 0
		if _, err := e.assert(t, signIn(), a.Get(e.request(t, signIn()))); err != nil {
			t.Errorf("refused for what memory had: %v", err)
		}
		// Right by what is remembered, and changed since: seen when it is written.
		remember()
		behind(`data = replace(data, '"verified":true', '"verified":false')`)
		if _, err := e.assert(t, signIn(), a.Get(e.request(t, signIn()))); err != nil {
			t.Errorf("refused though it is right: %v", err)
		}
		remember()
		behind(`revoked_at = 1`)
		use, _, err := look()
		if err != nil {
			t.Fatalf("not in memory: %v", err)
		}
		if err := e.DB.UpdateRC(t.Context(), dbtest.Realm, use.WriteTx); !credential.Refused(err) {
			t.Errorf("the use of a removed one: %v", err)
		}
		if _, _, err := look(); fault.Code(err) != "passkey_removed" {
			t.Errorf("a removed one that was refused: %v", err)
		}
	})
}

// TestACredentialIDIsNeverRegisteredAgain: WA-07.
func TestACredentialIDIsNeverRegisteredAgain(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, bob := e.person(t, "ada"), e.person(t, "bob")
		a := pk.New(site)
		c := e.passkey(t, a, ada)
		same := pk.Before(func(p *pk.Parts) { p.ID = a.Keys[0].ID })
		if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, c.ID, "test"); err != nil {
			t.Fatal(err)
		}
		for who, id := range map[string]string{"another": bob, "its owner": ada} {
			_, err := e.register(t, id, pk.New(site).Create(e.creation(t, id), same))
			e.refuses(t, "registered by "+who+" after it was removed", err, "passkey_registered", "")
		}
		_, err := e.assert(t, signIn(), a.Get(e.request(t, signIn())))
		e.refuses(t, "removed", err, "passkey_removed", "passkey_removed")
		long := pk.New(site)
		if _, err := e.register(t, ada, long.Create(e.creation(t, ada), pk.Before(func(p *pk.Parts) { p.ID = make([]byte, 1023); p.Key.ID = p.ID }))); err != nil {
			t.Fatalf("1023 bytes: %v", err)
		}
		if _, err := e.assert(t, signIn(), long.Get(e.request(t, signIn()))); err != nil {
			t.Errorf("1023 bytes: %v", err)
		}
	})
}

// TestACounterThatGoesBackIsAnEvent: WA-10.
func TestACounterThatGoesBackIsAnEvent(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		a := pk.New(site)
		a.Step = 1
		e.passkey(t, a, ada)
		in := func() error {
			_, err := e.assert(t, signIn(), a.Get(e.request(t, signIn())))
			return err
		}
		for range 3 {
			if err := in(); err != nil {
				t.Fatal(err)
			}
		}
		events := func() int {
			return len(slices.DeleteFunc(e.Events(t, dbtest.Realm), func(a string) bool { return a != "credential.regress" }))
		}
		a.Keys[0].Count = 2 // the copy signs as 3, which was used
		e.refuses(t, "the same count", in(), "passkey_refused", "counter_regression")
		a.Keys[0].Count, a.Step = 0, 0
		e.refuses(t, "zero after it counted", in(), "passkey_refused", "counter_regression")
		a.Step = 1
		if got := events(); got != 2 {
			t.Errorf("%d events, want 2", got)
		}
		e.set(t, map[string]any{"passkey_regression": "report"})
		a.Keys[0].Count = 1
		answer := a.Get(e.request(t, signIn()))
		if _, err := e.assert(t, signIn(), answer); err != nil || events() != 3 {
			t.Errorf("reported only: %v and %d events", err, events())
		}
		_, err := e.assert(t, signIn(), answer)
		e.refuses(t, "the reported one again", err, "passkey_expired", "challenge_reused")
		e.set(t, map[string]any{"passkey_regression": nil})
		e.refuses(t, "the count is not lowered by a copy", in(), "passkey_refused", "counter_regression")
		a.Keys[0].Count = 9
		if err := in(); err != nil {
			t.Errorf("the original goes on: %v", err)
		}
	})
}

func TestBackupIsFollowed(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		a := pk.New(site)
		a.Flags = pk.UP | pk.UV | pk.BE
		c := e.passkey(t, a, ada)
		if info, _ := c.Passkey(); info.BackedUp || !info.Synced {
			t.Errorf("made as %+v", info)
		}
		a.Flags |= pk.BS
		if _, err := e.assert(t, signIn(), a.Get(e.request(t, signIn()))); err != nil {
			t.Fatal(err)
		}
		c, err := e.store.ByID(t.Context(), dbtest.Realm, c.ID)
		if info, _ := c.Passkey(); err != nil || !info.BackedUp {
			t.Errorf("kept as %+v, %v", info, err)
		}
		e.set(t, map[string]any{"passkey_binding": "device"})
		_, err = e.register(t, ada, a.Create(e.creation(t, ada)))
		e.refuses(t, "a synced one where none is wanted", err, "passkey_synced", "")
		a.Flags = pk.UP | pk.UV
		e.passkey(t, a, ada)
		_, err = e.assert(t, signIn(), a.Get(e.request(t, signIn()), pk.Before(func(p *pk.Parts) { p.Flags |= pk.BE })))
		e.refuses(t, "that becomes one", err, "passkey_refused", "backup_eligibility")
		if got, err := e.assert(t, signIn(), a.Get(e.request(t, signIn()))); err != nil || !slices.Equal(got.AMR(), []string{"pop", "user", "mfa"}) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// TestOnlyTrustAnchorsVouch: WA-11.
func TestOnlyTrustAnchorsVouch(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		vendor, other := pk.NewVendor("Vendor"), pk.NewVendor("Vendor")
		model := [16]byte{1, 2, 3}
		const listed = "01020300-0000-0000-0000-000000000000"
		e.set(t, map[string]any{"passkey_attestation": "required", "passkey_attestation_ca": vendor.PEM(), "passkey_models": listed})
		if o := string(e.creation(t, ada)); !strings.Contains(o, `"attestation":"direct"`) {
			t.Errorf("not asked for: %s", o)
		}
		try := func(attest pk.Attest, aaguid [16]byte, changes ...pk.Change) (credential.Credential, error) {
			a := pk.New(site)
			a.Attest, a.AAGUID, a.Flags = attest, aaguid, pk.UP|pk.UV
			return e.register(t, ada, a.Create(e.creation(t, ada), changes...))
		}
		for what, c := range map[string]struct {
			attest pk.Attest
			aaguid [16]byte
			code   string
		}{
			"none, claiming the model":            {nil, model, "passkey_model"},
			"self, claiming the model":            {pk.Self, model, "passkey_model"},
			"another root of the same name":       {other.Packed(model, true), model, "passkey_model"},
			"a model that is not listed":          {vendor.Packed([16]byte{9}, true), [16]byte{9}, "passkey_model"},
			"a certificate of another model":      {vendor.Packed([16]byte{9}, true), model, "passkey_refused"},
			"a certificate that names no model":   {vendor.Packed(model, false), model, "passkey_model"},
			"a statement that calls itself tpm":   {as("tpm", vendor.Packed(model, true)), model, "passkey_refused"},
			"a statement that calls itself apple": {as("apple", vendor.Packed(model, true)), model, "passkey_refused"},
			"one that calls itself android-key":   {as("android-key", vendor.Packed(model, true)), model, "passkey_refused"},
			"an empty chain":                      {bare("packed", pk.Map(pk.Text("alg"), pk.Int(-7), pk.Text("sig"), pk.Bytes([]byte{1}), pk.Text("x5c"), pk.Array())), model, "passkey_refused"},
			"an ECDAA key":                        {bare("packed", pk.Map(pk.Text("alg"), pk.Int(-7), pk.Text("sig"), pk.Bytes([]byte{1}), pk.Text("ecdaaKeyId"), pk.Bytes([]byte{1}))), model, "passkey_refused"},
		} {
			_, err := try(c.attest, c.aaguid)
			e.refuses(t, what, err, c.code, "")
		}
		_, err := try(vendor.Packed(model, true), model, pk.Before(func(p *pk.Parts) { p.Client = `,"x":1` }), pk.After(func(p *pk.Parts) { p.ClientData = bytes.Replace(p.ClientData, []byte(`"x":1`), []byte(`"x":2`), 1) }))
		e.refuses(t, "a statement about something else", err, "passkey_refused", "attestation_statement")
		c, err := try(vendor.Packed(model, true), model)
		if err != nil {
			t.Fatal(err)
		}
		if info, _ := c.Passkey(); !info.Attested || info.AAGUID != listed {
			t.Errorf("made as %+v", info)
		}
		e.set(t, map[string]any{"passkey_models": nil, "passkey_models_denied": listed})
		_, err = try(vendor.Packed(model, true), model)
		e.refuses(t, "a denied model", err, "passkey_model", "")
		e.set(t, map[string]any{"passkey_models_denied": nil})
		if _, err := try(vendor.Packed(model, false), model); err != nil {
			t.Errorf("no list, vouched for: %v", err)
		}
		e.set(t, map[string]any{"passkey_attestation": "preferred"})
		c, err = try(pk.Self, model)
		if info, _ := c.Passkey(); err != nil || info.Attested {
			t.Errorf("self attestation where it is only preferred: %+v, %v", info, err)
		}
	})
}

// WA-11: a TPM that an anchor vouches for satisfies a list that names its format's
// model, and nothing about its statement can be otherwise.
func TestATPMVouches(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		vendor := pk.NewVendor("Vendor")
		model := [16]byte{0x08, 0x98, 0x70, 0x58, 0xca, 0xdc, 0x4b, 0x81, 0xb6, 0xe1, 0x30, 0xde, 0x50, 0xdc, 0xbe, 0x96}
		const listed = "08987058-cadc-4b81-b6e1-30de50dcbe96"
		e.set(t, map[string]any{"passkey_attestation": "required", "passkey_attestation_ca": vendor.PEM(), "passkey_models": listed})
		try := func(v *pk.Vendor, aaguid [16]byte, change func(m *pk.TPM)) (credential.Credential, error) {
			m := pk.NewTPM()
			change(&m)
			a := pk.New(site)
			a.Attest, a.AAGUID, a.Flags = m.Attest(v), aaguid, pk.UP|pk.UV
			return e.register(t, ada, a.Create(e.creation(t, ada)))
		}
		flip := func(b []byte) []byte {
			b = bytes.Clone(b)
			b[len(b)-1] ^= 1
			return b
		}
		for what, change := range map[string]func(m *pk.TPM){
			"another version":                 func(m *pk.TPM) { m.Version = "1.2" },
			"not made by a TPM":               func(m *pk.TPM) { m.Magic++ },
			"something else that was signed":  func(m *pk.TPM) { m.Type = 0x8018 },
			"about another ceremony":          func(m *pk.TPM) { m.Extra = flip },
			"about another key":               func(m *pk.TPM) { m.Name = flip },
			"another key than the passkey":    func(m *pk.TPM) { m.PublicArea = flip },
			"a wrong signature":               func(m *pk.TPM) { m.Signature = flip },
			"a manufacturer that there isn’t": func(m *pk.TPM) { m.Manufacturer = "id:00000000" },
			"a certificate for other things":  func(m *pk.TPM) { m.Usage = asn1.ObjectIdentifier{2, 23, 133, 8, 1} },
			"a certificate with a subject":    func(m *pk.TPM) { m.Subject = "TPM" },
			"an authority’s certificate":      func(m *pk.TPM) { m.CA = true },
		} {
			_, err := try(vendor, model, change)
			e.refuses(t, what, err, "passkey_refused", "attestation_statement")
		}
		same := func(*pk.TPM) {}
		_, err := try(pk.NewVendor("Vendor"), model, same)
		e.refuses(t, "another root of the same name", err, "passkey_model", "")
		_, err = try(vendor, [16]byte{1, 2, 3}, same)
		e.refuses(t, "a model that the format does not stand for", err, "passkey_model", "")
		c, err := try(vendor, model, same)
		if err != nil {
			t.Fatal(err)
		}
		if info, _ := c.Passkey(); !info.Attested || info.AAGUID != listed {
			t.Errorf("made as %+v", info)
		}
	})
}

// as gives a statement another name.
func as(format string, a pk.Attest) pk.Attest {
	return func(k *pk.Key, authData, hash []byte) (string, []byte) {
		_, statement := a(k, authData, hash)
		return format, statement
	}
}

func bare(format string, statement []byte) pk.Attest {
	return func(*pk.Key, []byte, []byte) (string, []byte) { return format, statement }
}

func TestRelatedOriginsAreAnExactList(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		a := pk.New("https://login.example.org")
		_, err := e.register(t, ada, a.Create(e.creation(t, ada)))
		e.refuses(t, "not related", err, "passkey_refused", "origin")
		e.set(t, map[string]any{"passkey_related_origins": "https://login.example.org https://login.example.net:8443"})
		e.passkey(t, a, ada)
		a.Origin = "https://login.example.net"
		_, err = e.assert(t, signIn(), a.Get(e.request(t, signIn())))
		e.refuses(t, "another port", err, "passkey_refused", "origin")
		e.set(t, map[string]any{"passkey_rp_id": "example.com"})
		if o := string(e.request(t, signIn())); !strings.Contains(o, `"rpId":"example.com"`) {
			t.Errorf("options %s", o)
		}
		_, err = e.assert(t, signIn(), pkGet(a, e.request(t, signIn())))
		e.refuses(t, "made for the old name", err, "passkey_refused", "origin")
	})
}

// pkGet answers with a passkey of another relying party.
func pkGet(a *pk.Authenticator, options []byte) string {
	return a.Get(bytes.Replace(options, []byte(`"rpId":"example.com"`), []byte(`"rpId":"id.example.com"`), 1))
}

func TestThereIsAnEndToPasskeys(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		a := pk.New(site)
		for range credential.MaxPasskeys {
			e.passkey(t, a, ada)
		}
		_, err := e.register(t, ada, a.Create(e.creation(t, ada)))
		e.refuses(t, "one too many", err, "passkeys_exhausted", "")
	})
}

func TestOwnersNameTheirPasskeys(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada, bob := e.person(t, "ada"), e.person(t, "bob")
		c := e.passkey(t, pk.New(site), ada)
		if err := e.store.RenamePasskey(t.Context(), audittest.By, dbtest.Realm, ada, c.ID, " Phone "); err != nil {
			t.Fatal(err)
		}
		if c, err := e.store.Live(t.Context(), dbtest.Realm, c.ID); err != nil || c.Name != "Phone" {
			t.Errorf("called %q, %v", c.Name, err)
		}
		for what, err := range map[string]error{
			"by another":   e.store.RenamePasskey(t.Context(), audittest.By, dbtest.Realm, bob, c.ID, "Mine"),
			"too long":     e.store.RenamePasskey(t.Context(), audittest.By, dbtest.Realm, ada, c.ID, strings.Repeat("x", 121)),
			"of a newline": e.store.RenamePasskey(t.Context(), audittest.By, dbtest.Realm, ada, c.ID, "a\nb"),
		} {
			if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid) {
				t.Errorf("named %s: %v", what, err)
			}
		}
	})
}

func TestDevicesAreToldWhatIsAccepted(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		who, err := e.dir.ByID(t.Context(), dbtest.Realm, ada)
		if err != nil {
			t.Fatal(err)
		}
		accepted := func() *credential.Accepted {
			a, err := e.passkeys.Accepted(t.Context(), e.realm(t), who)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		if got := accepted(); got != nil {
			t.Errorf("before there is any: %+v", got)
		}
		a := pk.New(site)
		first, second := e.passkey(t, a, ada), e.passkey(t, a, ada)
		if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, first.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if got := accepted(); got.User != pk.To64(a.Keys[0].User) || !slices.Equal(got.IDs, []string{pk.To64(a.Keys[1].ID)}) || got.RPID != "id.example.com" || got.Name != "ada" {
			t.Errorf("after one was removed: %+v", got)
		}
		if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, second.ID, "test"); err != nil {
			t.Fatal(err)
		}
		if got := accepted(); got == nil || got.IDs == nil || len(got.IDs) > 0 {
			t.Errorf("after all were removed: %+v", got)
		}
	})
}

func TestAddressesThatAllowPasskeys(t *testing.T) {
	for issuer, ok := range map[string]bool{"https://id.example.com/auth": true, "http://localhost:8080": true, "http://id.example.com": false, "https://127.0.0.1": false, "https://[::1]:8443": false} {
		re := &realm.Realm{Issuer: issuer, Settings: realm.DefaultSettings()}
		if credential.Usable(re) != ok {
			t.Errorf("%s: usable is %v", issuer, !ok)
		}
	}
	re := &realm.Realm{Issuer: "https://ID.example.com:8443/x", Settings: realm.DefaultSettings()}
	if rp, err := credential.RelyingPartyOf(re); err != nil || rp.ID != "id.example.com" || !slices.Equal(rp.Origins, []string{"https://id.example.com:8443"}) {
		t.Errorf("%+v, %v", rp, err)
	}
}

func TestWhatIsKeptOfAPasskeyOpensNothing(t *testing.T) {
	run(t, func(t *testing.T, e env) {
		ada := e.person(t, "ada")
		a := pk.New(site)
		c := e.passkey(t, a, ada)
		if err := e.store.Revoke(t.Context(), audittest.By, dbtest.Realm, c.ID, "test"); err != nil {
			t.Fatal(err)
		}
		var rows int
		err := e.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
			rows, err = db.One(tx, db.Scalar[int], `SELECT count(*) FROM credentials WHERE realm = $1 AND id = $2 AND data = '' AND handle <> ''`, tx.Realm, c.ID)
			return err
		})
		if err != nil || rows != 1 {
			t.Errorf("%d rows without data and with a handle, %v", rows, err)
		}
		e.Clock.Advance(time.Hour)
		if fmt.Sprint(c) == "" || strings.Contains(fmt.Sprint(e.Events(t, dbtest.Realm)), pk.To64(a.Keys[0].ID)) {
			t.Error("the log names a credential id")
		}
	})
}
