package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// passkeyTables keep what a sign-in with a passkey cannot do without: that the challenge
// was used, the passkey's counter, the session, to be found by its secret, by whose it
// is and by its end, and its event.
var passkeyTables = []string{
	`CREATE TABLE IF NOT EXISTS challenges (hash BYTEA PRIMARY KEY, at BIGINT)`,
	`CREATE TABLE IF NOT EXISTS passkeys (id TEXT PRIMARY KEY, counter BIGINT)`,
	`CREATE TABLE IF NOT EXISTS sessions (id BYTEA PRIMARY KEY, secret BYTEA UNIQUE, person TEXT, expires_at BIGINT, kept BYTEA)`,
	`CREATE INDEX IF NOT EXISTS sessions_person ON sessions (person, id)`,
	`CREATE INDEX IF NOT EXISTS sessions_expires ON sessions (expires_at)`,
	`CREATE TABLE IF NOT EXISTS events (id BYTEA PRIMARY KEY, body BYTEA)`,
}

// A session and its event take as many bytes as Cardea's, without the keys.
const sessionRest, eventBody = 220, 385

// asserted is the answer of an authenticator (WebAuthn Level 3, 5.1.4), and clientData
// what it signed (5.8.1).
type asserted struct {
	ID       string
	Response struct{ ClientDataJSON, AuthenticatorData, Signature, UserHandle string }
}

type clientData struct{ Type, Challenge, Origin string }

var (
	challenge = strings.Repeat("x", 75)
	rpHash    = sha256.Sum256([]byte("localhost"))
)

// right does the verifications of WebAuthn Level 3, 7.2. The signature is the one that
// there is.
func (l *limit) right(text string) (id string, ok bool) {
	var a asserted
	if json.Unmarshal([]byte(text), &a) != nil {
		return "", false
	}
	data, err1 := base64.RawURLEncoding.DecodeString(a.Response.ClientDataJSON)
	device, err2 := base64.RawURLEncoding.DecodeString(a.Response.AuthenticatorData)
	signature, err3 := base64.RawURLEncoding.DecodeString(a.Response.Signature)
	var c clientData
	if err1 != nil || err2 != nil || err3 != nil || len(signature) == 0 || json.Unmarshal(data, &c) != nil {
		return "", false
	}
	const present, verified = 1, 4
	if c.Type != "webauthn.get" || c.Challenge != challenge || c.Origin == "" || len(device) < 37 || !bytes.Equal(device[:32], rpHash[:]) || device[32]&present == 0 || device[32]&verified == 0 {
		return "", false
	}
	hash := sha256.Sum256(data)
	_ = sha256.Sum256(append(device, hash[:]...))
	return a.ID, ecdsa.VerifyASN1(&l.key.PublicKey, l.digest[:], l.proof)
}

func (l *limit) passkey(w http.ResponseWriter, r *http.Request) {
	id, ok := l.right(r.PostFormValue("answer"))
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	secret, hash := newToken("cds_")
	now := time.Now().Unix()
	err := l.insert(
		row{`INSERT INTO challenges VALUES ($1, $2)`, []any{sum(secret, "challenge"), now}},
		row{`INSERT INTO passkeys VALUES ($1, 1) ON CONFLICT (id) DO UPDATE SET counter = passkeys.counter + 1`, []any{id}},
		row{`INSERT INTO sessions VALUES ($1, $2, $3, $4, $5)`, []any{sum(secret, "id")[:16], hash, id, now, make([]byte, sessionRest)}},
		row{`INSERT INTO events VALUES ($1, $2)`, []any{sum(secret, "event")[:16], make([]byte, eventBody)}},
	)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Set-Cookie", "__Host-session="+secret+"; Path=/; Secure; HttpOnly; SameSite=Lax")
	w.Header().Set("Location", "/")
	w.WriteHeader(http.StatusSeeOther)
}
