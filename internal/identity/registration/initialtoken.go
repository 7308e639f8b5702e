package registration

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/secret"
)

// InitialPrefix begins every initial access token (RFC 7591, section 1.2).
const InitialPrefix = "cdi_"

// Bounds of an initial access token.
const (
	maxInitialLife = 366 * 24 * time.Hour
	maxInitialUses = 100_000
	initialKept    = 90 * 24 * time.Hour // after it expired, so that events can be read
)

// InitialToken lets somebody register clients, so many times and until then.
type InitialToken struct {
	ID        string
	Name      string // what operators call it
	Uses      int64
	MaxUses   int64
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time // zero: not revoked
}

// CreateInitialTx makes an initial access token. The text is told this once.
func (r *Registry) CreateInitialTx(tx *db.Tx, by audit.Actor, name string, uses int64, life time.Duration) (InitialToken, secret.Text, error) {
	problem := fault.New(fault.Invalid, "initial_access_token_invalid", "the initial access token is not allowed; see the fields")
	if len(name) > 120 || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		problem.WithField("name", "has at most 120 printable characters")
	}
	if uses < 1 || uses > maxInitialUses {
		problem.WithField("uses", "must be from 1 to 100000")
	}
	if life <= 0 || life > maxInitialLife {
		problem.WithField("expires_in", "must be from a second to 366 days")
	}
	if len(problem.Fields) > 0 {
		return InitialToken{}, "", problem
	}
	text := secret.New(InitialPrefix)
	t := InitialToken{ID: id.New("iat", tx.Now), Name: name, MaxUses: uses, CreatedAt: tx.Now, ExpiresAt: tx.Now.Add(life)}
	if err := insertToken(tx, t, secret.Hash(string(text))); err != nil {
		return InitialToken{}, "", err
	}
	audit.Append(tx, by, audit.Event{Action: "initial_access_token.create", TargetType: "initial_access_token", Target: t.ID,
		Data: map[string]any{"name": name, "uses": uses}})
	return t, text, nil
}

// Initial lists initial access tokens, without what they are.
func (r *Registry) Initial(ctx context.Context, realm, cursor string, limit int) (page []InitialToken, next string, err error) {
	return db.Page(ctx, r.db, realm, limit, 500, func(tx *db.Tx, limit int) ([]InitialToken, error) { return tokens(tx, cursor, limit) },
		func(t InitialToken) string { return t.ID })
}

// RevokeInitial ends an initial access token. Clients that registered with it
// stay. One that is revoked already stays so.
func (r *Registry) RevokeInitial(ctx context.Context, by audit.Actor, realm, id string) error {
	return r.db.Update(ctx, realm, func(tx *db.Tx) error {
		if _, err := tokenByID(tx, id); err != nil {
			if db.Missing(err) {
				return fault.New(fault.NotFound, "initial_access_token_unknown", "there is no initial access token %q", id)
			}
			return err
		}
		n, err := revokeToken(tx, id)
		if err != nil {
			return err
		}
		if n == 0 {
			audit.Barrier(tx)
			return nil
		}
		audit.Append(tx, by, audit.Event{Action: "initial_access_token.revoke", TargetType: "initial_access_token", Target: id})
		return nil
	})
}

// useInitial spends one use of a token and returns its id. The use is spent
// with the registration or not at all.
func useInitial(tx *db.Tx, text secret.Text) (string, error) {
	if !secret.Valid(InitialPrefix, string(text)) {
		return "", stranger()
	}
	id, err := take(tx, secret.Hash(string(text)))
	if db.Missing(err) {
		return "", stranger()
	}
	return id, err
}
