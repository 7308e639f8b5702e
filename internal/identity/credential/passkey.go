package credential

import (
	"context"
	"encoding/json"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// MaxPasskeys is how many passkeys one person has at a time.
const MaxPasskeys = 20

// Passkeys registers and checks passkeys (WebAuthn Level 3). What an
// authenticator and a browser say is read here, byte for byte; the modules
// behind it decode CBOR, verify signatures and the statements of attestation.
type Passkeys struct {
	db     *db.DB
	log    *audit.Log
	realms *realm.Registry
	people *principal.Directory
	store  *Store
	once   *once.Store
	key    []byte // of challenges; the same on all nodes

	onRegress func(tx *db.Tx, by audit.Actor, rl *realm.Realm, principal, credential string, before, now int64) (after func(context.Context, error) error, err error)
}

// SetOnRegress has fn told of a signature counter that did not go up, in the
// transaction that notes it; what fn returns runs after that has committed. Call
// it before the first check.
func (p *Passkeys) SetOnRegress(fn func(tx *db.Tx, by audit.Actor, rl *realm.Realm, principal, credential string, before, now int64) (after func(context.Context, error) error, err error)) {
	p.onRegress = fn
}

// NewPasskeys returns what registers and checks passkeys. key has at least 16
// bytes and is the same on all nodes.
func NewPasskeys(d *db.DB, log *audit.Log, realms *realm.Registry, people *principal.Directory, store *Store, o *once.Store, key []byte) *Passkeys {
	if len(key) < 16 {
		panic("credential: the key of challenges is too short")
	}
	return &Passkeys{db: d, log: log, realms: realms, people: people, store: store, once: o, key: key}
}

// passkey is what is kept of a passkey besides the columns of all credentials.
type passkey struct {
	ID         []byte   `json:"id"`  // as authenticators and browsers know it
	Key        []byte   `json:"key"` // COSE_Key, as it came (RFC 9052)
	Count      uint32   `json:"count"`
	Backup     bool     `json:"backup"`    // BE: may be copied to other devices; never changes
	BackedUp   bool     `json:"backed_up"` // BS: is, as of the last use
	Verified   bool     `json:"verified"`  // UV: once was used with user verification
	AAGUID     string   `json:"aaguid"`
	Attested   bool     `json:"attested"` // a trust anchor of the realm vouches for the authenticator
	Format     string   `json:"format"`   // of the attestation statement
	Transports []string `json:"transports,omitempty"`
}

// PasskeyInfo is what a passkey's owner and operators see of it.
type PasskeyInfo struct {
	AAGUID   string // of the authenticator's model; zeros where it does not say
	Model    string // what people call that model, "" if nobody knows
	Synced   bool   // may be on several devices (backup eligible)
	BackedUp bool   // is
	Attested bool   // the realm's trust anchors vouch for the model
}

// Passkey tells what a credential of that type is like.
func (c Credential) Passkey() (PasskeyInfo, bool) {
	k, err := c.passkey()
	if err != nil {
		return PasskeyInfo{}, false
	}
	return PasskeyInfo{AAGUID: k.AAGUID, Model: modelOf(k.AAGUID), Synced: k.Backup, BackedUp: k.BackedUp, Attested: k.Attested}, true
}

func (c Credential) passkey() (k passkey, err error) {
	if c.Type != Passkey || c.data == "" {
		return k, fault.New(fault.NotFound, "passkey_unknown", "there is no such passkey")
	}
	return k, json.Unmarshal([]byte(c.data), &k)
}

func (k passkey) encode() string {
	b, err := json.Marshal(k)
	if err != nil {
		panic(err) // strings, bytes and flags
	}
	return string(b)
}

// RelyingParty is whom passkeys of a realm are made for.
type RelyingParty struct {
	ID      string   // a host name
	Origins []string // where pages may use them: exact, ASCII, lower case
}

// RelyingPartyOf is that of a realm, or fault.Conflict where its address allows
// none: passkeys need https and a name, or localhost.
func RelyingPartyOf(re *realm.Realm) (RelyingParty, error) {
	u, err := url.Parse(re.Issuer)
	if err != nil {
		return RelyingParty{}, err
	}
	host := strings.ToLower(u.Hostname())
	rp := RelyingParty{ID: host, Origins: []string{u.Scheme + "://" + strings.ToLower(u.Host)}}
	if re.Settings.PasskeyRPID != "" {
		rp.ID = re.Settings.PasskeyRPID
	}
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if u.Scheme != "https" && !local || net.ParseIP(host) != nil {
		return rp, fault.New(fault.Conflict, "passkey_address", "passkeys need an issuer with https and a host name; this one is %s", re.Issuer)
	}
	for _, o := range re.Settings.RelatedOrigins() {
		if !slices.Contains(rp.Origins, o) {
			rp.Origins = append(rp.Origins, o)
		}
	}
	return rp, nil
}

// Usable reports whether a realm's address allows passkeys.
func Usable(re *realm.Realm) bool {
	_, err := RelyingPartyOf(re)
	return err == nil
}

// refusal is why what a browser sent is no passkey for us. People are told one
// thing about all of them; the log has the reason.
type refusal string

func (r refusal) Error() string { return "passkey refused: " + string(r) }

// PasskeyProof is a passkey's owner, proved.
type PasskeyProof struct {
	Credential string
	Principal  *principal.Principal
	At         time.Time
	Verified   bool // UV: the device knows that it is its owner
	Synced     bool // BE: the key may be on several devices
	Attested   bool // trust anchors of the realm vouched for the device
}

// AMR are the words of RFC 8176 that are true of the proof.
func (p PasskeyProof) AMR() []string {
	amr := []string{"pop"} // of a key, wherever it is
	switch {
	case p.Synced:
		amr = []string{"swk"}
	case p.Attested:
		amr = []string{"hwk"}
	}
	amr = append(amr, "user")
	if p.Verified {
		amr = append(amr, "mfa")
	}
	return amr
}
