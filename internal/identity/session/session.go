// Package session owns signed-in browsers: who signed in, when, by what, and
// until when that holds. A browser holds the session's secret in a cookie; here
// only its hash is kept. A session ends by being ended, by standing idle, or by
// age, and whether it has is decided whenever it is used.
//
// Ending a session is a death: grants below it are ended afterwards by package
// grant. What is born of a session calls [LiveTx] in the transaction of its
// birth.
package session

import (
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/secret"
)

// SecretPrefix begins every session secret.
const SecretPrefix = "cds_"

// MaxInBrowser is how many sessions one browser holds at a time, each of another
// account.
const MaxInBrowser = 5

// Session is somebody signed in with one browser.
type Session struct {
	ID         string
	Principal  string
	Credential string   // the main proof; its revocation ends the session
	ACR        string   // how strong the proof was
	AMR        []string // RFC 8176: what was proved
	AuthTime   time.Time
	Proofs     string // what was proved and when, as the door that asked notes it
	CreatedAt  time.Time
	LastSeenAt time.Time // to the minute
	IdleUntil  time.Time // when it ends unless it is used
	ExpiresAt  time.Time // when it ends at the latest
	EndedAt    time.Time // zero: not ended
	Reason     string    // why it ended
	IP         string    // at the last proof
	UserAgent  string
	Browser    string // hash of the browser's mark, to tell browsers apart

	hash []byte
	era  int64 // of the principal, when the session was born
}

// Until is when the session ends if it is not used any more.
func (s *Session) Until() time.Time {
	if s.ExpiresAt.Before(s.IdleUntil) {
		return s.ExpiresAt
	}
	return s.IdleUntil
}

// live reports whether s holds at now, as far as it is itself concerned.
func (s *Session) live(now time.Time) bool {
	return s.EndedAt.IsZero() && now.Before(s.ExpiresAt) && now.Before(s.IdleUntil)
}

// New describes a session that begins.
type New struct {
	Principal  string
	Credential string
	ACR        string
	AMR        []string
	AuthTime   time.Time // zero: now
	Proofs     string
	Browser    string // the mark in the browser's cookie, which from now on is one that signed in before
	IP         string
	UserAgent  string
	Ground     *Ground // of these, if it was asked for already
}

// Proof is a fresh proof by somebody who is signed in.
type Proof struct {
	Credential string
	ACR        string
	AMR        []string
	AuthTime   time.Time // zero: now
	Proofs     string
	IP         string
	UserAgent  string
	Ground     *Ground
}

// Begun is a session with the one telling of its secret.
type Begun struct {
	*Session
	Secret secret.Text
}

func unknown() error {
	return fault.New(fault.NotFound, "session_unknown", "there is no such session")
}

func dead() error {
	return fault.New(fault.Unauthenticated, "session_ended", "the session has ended")
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}
