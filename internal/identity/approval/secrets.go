package approval

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/cardea-id/cardea/internal/db"
)

// Secrets are what the delivery of an answer needs, and nothing else: they are
// kept sealed, and forgotten when it is done.
type Secrets struct {
	Code    string `json:"code"`              // with which the client asks
	Token   string `json:"token"`             // the client's own, by which it knows that we call (CIBA, section 7.1)
	Refresh string `json:"refresh,omitempty"` // born with the grant and not delivered yet
}

func (s *Store) place(realm, id string) []string { return []string{"approval", realm, id} }

func (s *Store) seal(realm, id string, kept Secrets) (string, error) {
	plain, err := json.Marshal(kept)
	if err != nil {
		return "", err
	}
	return base64.RawStdEncoding.EncodeToString(s.box.Seal(plain, s.place(realm, id)...)), nil
}

// Secrets opens what a request keeps sealed.
func (s *Store) Secrets(r *Request) (kept Secrets, err error) {
	if r.sealed == "" {
		return kept, errors.New("the request keeps no secrets: its answer was delivered, or its client asks")
	}
	sealed, err := base64.RawStdEncoding.DecodeString(r.sealed)
	if err != nil {
		return kept, err
	}
	plain, err := s.box.Open(sealed, s.place(r.Realm, r.ID)...)
	if err != nil {
		return kept, err
	}
	return kept, json.Unmarshal(plain, &kept)
}

// KeepTx replaces what a request keeps sealed.
func (s *Store) KeepTx(tx *db.Tx, id string, kept Secrets) error {
	sealed, err := s.seal(tx.Realm, id, kept)
	if err != nil {
		return err
	}
	return keep(tx, id, sealed)
}

// Forget drops what a request keeps sealed: its answer was delivered.
func (s *Store) Forget(ctx context.Context, realm, id string) error {
	return s.db.UpdateRC(ctx, realm, func(tx *db.Tx) error { return keep(tx, id, "") })
}
