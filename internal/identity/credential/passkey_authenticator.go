package credential

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"

	"github.com/cardea-id/cardea/internal/secret"
)

// The flags of authenticator data (WebAuthn Level 3, section 6.1).
const (
	flagPresent  = 1 << 0 // UP
	flagVerified = 1 << 2 // UV
	flagBackup   = 1 << 3 // BE: backup eligible
	flagBackedUp = 1 << 4 // BS: backup state
	flagAttested = 1 << 6 // AT: attested credential data follow
	flagExtended = 1 << 7 // ED: extensions follow
)

// authenticatorData are what the authenticator says about itself, signed.
type authenticatorData struct {
	rpIDHash []byte
	flags    byte
	count    uint32
	aaguid   string
	id, key  []byte // of a registration; key is a COSE_Key
}

func (a authenticatorData) has(flag byte) bool { return a.flags&flag != 0 }

// parseAuthenticatorData reads authenticator data to their last byte.
// Extensions are skipped: we ask for none, and authenticators may send some of
// their own.
func parseAuthenticatorData(b []byte) (a authenticatorData, err error) {
	if len(b) < 37 || len(b) > maxPasskeyAnswer {
		return a, refusal("authenticator_data_malformed")
	}
	a.rpIDHash, a.flags, a.count = b[:32], b[32], binary.BigEndian.Uint32(b[33:])
	rest := b[37:]
	if a.has(flagAttested) {
		if len(rest) < 18 {
			return a, refusal("authenticator_data_malformed")
		}
		a.aaguid = uuid(rest[:16])
		size := int(binary.BigEndian.Uint16(rest[16:]))
		rest = rest[18:]
		if size == 0 || size > maxPasskeyID || size > len(rest) {
			return a, refusal("credential_id")
		}
		a.id, rest = rest[:size], rest[size:]
		n, err := cborItem(rest)
		if err != nil {
			return a, refusal("key_malformed")
		}
		a.key, rest = rest[:n], rest[n:]
	}
	if a.has(flagExtended) {
		n, err := cborItem(rest)
		if err != nil || rest[0]>>5 != 5 { // a map
			return a, refusal("extensions_malformed")
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return a, refusal("authenticator_data_malformed")
	}
	return a, nil
}

// cborItem is the length of the CBOR item at the beginning of b.
func cborItem(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, refusal("cbor")
	}
	var item webauthncbor.RawMessage
	return webauthncbor.UnmarshalFirst(b, &item)
}

// check holds authenticator data to a relying party: its hash, that somebody was
// present, that they were verified if need be, and that what is backed up may
// be (section 6.1.3).
func (a authenticatorData) check(rp RelyingParty, verified bool) error {
	hash := sha256.Sum256([]byte(rp.ID))
	switch {
	case !secret.Equal(a.rpIDHash, hash[:]):
		return refusal("rp_id_hash")
	case !a.has(flagPresent):
		return refusal("user_presence")
	case verified && !a.has(flagVerified):
		return refusal("user_verification")
	case a.has(flagBackedUp) && !a.has(flagBackup):
		return refusal("backup_flags")
	}
	return nil
}

// uuid writes 16 bytes as RFC 9562 does.
func uuid(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
