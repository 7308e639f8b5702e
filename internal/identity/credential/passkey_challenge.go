package credential

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/secret"
)

// ChallengeLife is how long a challenge may be answered.
const ChallengeLife = 5 * time.Minute

// Purpose says what a challenge is good for. One is never good for another.
type Purpose string

// The purposes of challenges.
const (
	ToRegister Purpose = "register" // to make a passkey
	ToSignIn   Purpose = "signin"   // to say who one is
	ToConfirm  Purpose = "confirm"  // to prove to be somebody who is known already
)

// challengePurpose names used challenges in the single-use store.
const challengePurpose once.Purpose = "passkey_challenge"

// Ceremony is what a challenge is bound to.
type Ceremony struct {
	Purpose   Purpose
	Browser   string // tells the browser from others; never ""
	Principal string // whose passkey it is to be, "" if anybody's
}

// A challenge is written down when it is answered and not when it is made, so
// that showing a page writes nothing: it holds its end and 128 random bits, and
// a MAC over these and over what it is bound to. Answering it notes it as seen.
const (
	challengeRandom = 16
	challengeHead   = 8 + challengeRandom
	challengeSize   = challengeHead + 32
)

// challenge makes a challenge that ends at until.
func (p *Passkeys) challenge(realm string, c Ceremony, until time.Time) []byte {
	b := make([]byte, challengeHead, challengeSize)
	binary.BigEndian.PutUint64(b, uint64(until.UnixMilli()))
	rand.Read(b[8:])
	return append(b, p.challengeMAC(realm, c, b)...)
}

func (p *Passkeys) challengeMAC(realm string, c Ceremony, head []byte) []byte {
	return secret.Derive(p.key, "passkey challenge", realm, string(c.Purpose), c.Browser, c.Principal, string(head))
}

// checkChallenge finds out whether text, as client data have it, is a challenge
// of ours for this ceremony whose time has come and not gone.
func (p *Passkeys) checkChallenge(realm string, c Ceremony, text string, now time.Time) (until time.Time, err error) {
	b, err := decode64(text)
	if err != nil || len(b) != challengeSize || c.Browser == "" || c.Purpose == "" ||
		!secret.Equal(b[challengeHead:], p.challengeMAC(realm, c, b[:challengeHead])) {
		return until, refusal("challenge")
	}
	until = time.UnixMilli(int64(binary.BigEndian.Uint64(b)))
	if !now.Before(until) {
		return until, refusal("challenge_expired")
	}
	return until, nil
}

// burn uses a challenge up, in the transaction of what it leads to.
func (p *Passkeys) burn(tx *db.Tx, text string, until time.Time) error {
	return p.askBurn(tx, text, until)()
}

// askBurn is burn that does not wait yet.
func (p *Passkeys) askBurn(tx *db.Tx, text string, until time.Time) func() error {
	burnt := p.once.AskBurn(tx, once.Key{Purpose: challengePurpose, Value: text, From: until.Add(-ChallengeLife), Until: until})
	return func() error {
		seen, err := burnt()
		if err == nil && seen {
			err = refusal("challenge_reused")
		}
		return err
	}
}

// decode64 reads base64url without padding, of which there is one for all bytes.
func decode64(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil && base64.RawURLEncoding.EncodeToString(b) != text {
		err = base64.CorruptInputError(0) // the decoder skips line ends
	}
	return b, err
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
