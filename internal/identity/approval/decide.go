package approval

import (
	"context"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// ByID finds a request, open or not.
func (s *Store) ByID(ctx context.Context, realm, id string) (r *Request, err error) {
	err = s.db.View(ctx, realm, func(tx *db.Tx) error {
		r, err = byID(tx, id)
		return err
	})
	if db.Missing(err) {
		return nil, unknown()
	}
	return r, err
}

// OpenFor lists what waits for a principal, newest first.
func (s *Store) OpenFor(ctx context.Context, realm, principal string) (all []*Request, err error) {
	err = s.db.View(ctx, realm, func(tx *db.Tx) error {
		all, err = openFor(tx, principal, s.epoch(), mostOfAll)
		return err
	})
	return all, err
}

// ApproveTx answers a pending request with yes. Of any number of decisions one
// counts; the others, and those that come too late, are fault.Conflict.
func (s *Store) ApproveTx(tx *db.Tx, by audit.Actor, id string, a Answer) (*Request, error) {
	return s.decide(tx, by, id, Approved, a, "approval.approve")
}

// Deny answers a pending request with no, for good. by.ID is who denies, where
// that is known.
func (s *Store) Deny(ctx context.Context, by audit.Actor, realm, id string) (r *Request, err error) {
	err = s.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		r, err = s.decide(tx, by, id, Denied, Answer{Principal: by.ID, Session: by.Session}, "approval.deny")
		return err
	})
	return r, err
}

func (s *Store) decide(tx *db.Tx, by audit.Actor, id string, to State, a Answer, action string) (*Request, error) {
	r, err := decide(tx, id, to, a, s.epoch())
	if db.Missing(err) {
		return nil, closed()
	}
	if err != nil {
		return nil, err
	}
	audit.Append(tx, by, audit.Event{Action: action, TargetType: "approval", Target: r.ID,
		Data: map[string]any{"kind": string(r.Kind), "client": r.Client, "principal": a.Principal, "scope": strings.Join(a.Scopes, " ")}})
	return r, each(s.onDecide, tx, r)
}
