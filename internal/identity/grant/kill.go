package grant

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// Every kill below has the same shape: the ancestor's death commits first, then
// what hangs on it is found and killed from the top down, in transactions of
// their own. When a kill returns nil, no node says yes to anything below. When
// it returns an error it is safe, and needed, to call it again: a kill that
// finds its work done waits like the first one.
//
// A guard is run in the transaction of the ancestor's death, before it; its
// error stops the kill. It may be nil.

// Guard is a condition of a kill, such as that an owner remains.
type Guard func(tx *db.Tx) error

func (g Guard) check(tx *db.Tx) error {
	if g == nil {
		return nil
	}
	return g(tx)
}

// Revoke kills a grant and what hangs on it. Revoking a dead one is no error.
func (s *Store) Revoke(ctx context.Context, by audit.Actor, realm, id, reason string) error {
	err := s.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		_, err := s.killOne(tx, by, id, reason)
		return err
	})
	if err != nil {
		return err
	}
	return s.endBelow(ctx, by, realm, ancestor{Kind: "grant", ID: id}, reason)
}

// killOne kills a single grant. It returns the grant as it is then, also when
// it was dead before.
func (s *Store) killOne(tx *db.Tx, by audit.Actor, id, reason string) (*Grant, error) {
	g, err := revoke(tx, id, reason)
	if db.Missing(err) {
		if g, err = byID(tx, id); err == nil {
			audit.Barrier(tx)
		}
		return g, err
	}
	if err != nil {
		return nil, err
	}
	audit.Append(tx, by, audit.Event{Action: "grant.revoke", TargetType: "grant", Target: id, Invalidates: true, Deaths: g.bits(tx.Now),
		Data: map[string]any{"reason": reason, "principal": g.Principal, "client": g.Client}})
	return g, nil
}

// EndSession ends a session and the grants that hang on it. Grants with offline
// access stay.
func (s *Store) EndSession(ctx context.Context, by audit.Actor, realm, id, reason string) error {
	if err := s.Sessions.End(ctx, by, realm, id, reason); err != nil {
		return err
	}
	return s.endBelow(ctx, by, realm, ancestor{Kind: "session", ID: id}, reason)
}

// SignOutEverywhere ends every session and every grant of a principal, those
// with offline access too. It is also what a password reset does.
func (s *Store) SignOutEverywhere(ctx context.Context, by audit.Actor, realm, principal, reason string) error {
	if _, err := s.Sessions.EndAll(ctx, by, realm, principal, "", reason); err != nil {
		return err
	}
	return s.endBelow(ctx, by, realm, ancestor{Kind: "principal", ID: principal}, reason)
}

// SignOutElsewhere is SignOutEverywhere but for one session, whose grants end
// all the same.
func (s *Store) SignOutElsewhere(ctx context.Context, by audit.Actor, realm, principal, session, reason string) error {
	if _, err := s.Sessions.EndAll(ctx, by, realm, principal, session, reason); err != nil {
		return err
	}
	return s.endBelow(ctx, by, realm, ancestor{Kind: "principal", ID: principal}, reason)
}

// EndOtherSessions ends every session of a principal but one, and the grants
// that hang on them. Grants with offline access stay.
func (s *Store) EndOtherSessions(ctx context.Context, by audit.Actor, realm, principal, session, reason string) error {
	ended, err := s.Sessions.EndAll(ctx, by, realm, principal, session, reason)
	return finish(ctx, err, func(ctx context.Context) error {
		for _, id := range ended {
			if _, err := s.killBelow(ctx, by, realm, ancestor{Kind: "session", ID: id}, reason); err != nil {
				return err
			}
		}
		return nil
	})
}

// EndApplication ends all that a principal gave a client: what it consented to,
// and every grant to act for it. A client that never was is fault.NotFound.
func (s *Store) EndApplication(ctx context.Context, by audit.Actor, realm, principal, client, reason string) error {
	err := s.RevokeConsent(ctx, by, realm, principal, client, reason)
	return finish(ctx, err, func(ctx context.Context) error {
		for f := (Filter{Principal: principal}); ; {
			page, next, err := s.List(ctx, realm, f, maxPage)
			if err != nil {
				return err
			}
			for _, g := range page {
				if g.Client != client {
					continue
				}
				if err := s.Revoke(ctx, by, realm, g.ID, reason); err != nil {
					return err
				}
			}
			if next == "" {
				return nil
			}
			f.After = next
		}
	})
}

// Committed reports whether a change that ended with err was made: also one that
// is yet to be confirmed everywhere.
func Committed(err error) bool { return err == nil || fault.Code(err) == "unconfirmed" }

// finishWithin bounds a kill that goes on although nobody waits for it.
const finishWithin = time.Minute

// FinishSignOut is SignOutEverywhere after a change that ended the principal's
// era and that cannot be repeated, such as a password reset. err is how that
// change ended. It goes on when the caller's request has gone away or the change
// is yet to be confirmed, and returns what went wrong first.
func (s *Store) FinishSignOut(ctx context.Context, by audit.Actor, realm, principal, reason string, err error) error {
	return finish(ctx, err, func(ctx context.Context) error { return s.SignOutEverywhere(ctx, by, realm, principal, reason) })
}

// FinishSignOutElsewhere is FinishSignOut but for a session that was begun in the
// transaction that ended the era.
func (s *Store) FinishSignOutElsewhere(ctx context.Context, by audit.Actor, realm, principal, session, reason string, err error) error {
	return finish(ctx, err, func(ctx context.Context) error {
		return s.SignOutElsewhere(ctx, by, realm, principal, session, reason)
	})
}

// finish does what a death demands once it is committed, also when the request
// has gone away or the death is yet to be confirmed. err is how it ended.
func finish(ctx context.Context, err error, cascade func(context.Context) error) error {
	if !Committed(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	if after := cascade(ctx); err == nil {
		err = after
	}
	return err
}

// SuspendPrincipal suspends a principal and ends all that hangs on it and on
// the principals it owns.
func (s *Store) SuspendPrincipal(ctx context.Context, by audit.Actor, realm, id, reason string, guard Guard) error {
	return s.endPrincipal(ctx, by, realm, id, reason, func(tx *db.Tx) error {
		if err := guard.check(tx); err != nil {
			return err
		}
		return principal.SuspendTx(tx, by, id, reason)
	})
}

// OnDelete registers fn to run in each transaction that deletes a principal, for
// what others remember of somebody. Call it before anything is started.
func (s *Store) OnDelete(fn func(tx *db.Tx, id string) error) { s.onDelete = append(s.onDelete, fn) }

// DeletePrincipal deletes a principal and ends all that hangs on it and on the
// principals it owns.
func (s *Store) DeletePrincipal(ctx context.Context, by audit.Actor, realm, id, reason string, guard Guard) error {
	return s.endPrincipal(ctx, by, realm, id, reason, func(tx *db.Tx) error {
		if err := guard.check(tx); err != nil {
			return err
		}
		for _, fn := range s.onDelete {
			if err := fn(tx, id); err != nil {
				return err
			}
		}
		return principal.DeleteTx(tx, by, id)
	})
}

func (s *Store) endPrincipal(ctx context.Context, by audit.Actor, realm, id, reason string, death func(*db.Tx) error) error {
	return finish(ctx, s.db.Update(ctx, realm, death), func(ctx context.Context) error {
		owned, err := s.Principals.OwnedBelow(ctx, realm, id)
		if err != nil {
			return err
		}
		for _, one := range append([]string{id}, owned...) {
			if err := s.SignOutEverywhere(ctx, by, realm, one, reason); err != nil {
				return err
			}
		}
		return nil
	})
}

// RevokeCredential revokes a credential and ends the sessions and grants that
// were born of it.
func (s *Store) RevokeCredential(ctx context.Context, by audit.Actor, realm, id, reason string, guard Guard) error {
	err := s.db.Update(ctx, realm, func(tx *db.Tx) error {
		if err := guard.check(tx); err != nil {
			return err
		}
		return credential.RevokeTx(tx, by, id, reason)
	})
	return finish(ctx, err, func(ctx context.Context) error {
		if _, err := s.Sessions.EndBorn(ctx, by, realm, id, reason); err != nil {
			return err
		}
		// Also the sessions that were ended by an attempt that got no further.
		sessions, err := s.Sessions.BornOf(ctx, realm, id)
		if err != nil {
			return err
		}
		for _, one := range sessions {
			if _, err := s.killBelow(ctx, by, realm, ancestor{Kind: "session", ID: one}, reason); err != nil {
				return err
			}
		}
		return s.endBelow(ctx, by, realm, ancestor{Kind: "credential", ID: id}, reason)
	})
}

// EndRevoked ends what was born of those of a principal's credentials that were
// revoked while tokens of theirs may live, by whomever: it is called after a
// change that may have revoked some, and again when that did not get through. err
// is how the change ended.
func (s *Store) EndRevoked(ctx context.Context, by audit.Actor, realm, principal, reason string, err error) error {
	return finish(ctx, err, func(ctx context.Context) error {
		dead, err := s.Credentials.Revoked(ctx, realm, principal, MaxTokenLife)
		if err != nil {
			return err
		}
		for _, id := range dead {
			if err := s.RevokeCredential(ctx, by, realm, id, reason, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// RevokeConsent forgets what a principal consented to for a client and kills
// the grants that rest on it. A client that never was is fault.NotFound.
func (s *Store) RevokeConsent(ctx context.Context, by audit.Actor, realm, principal, client, reason string) error {
	err := s.db.Update(ctx, realm, func(tx *db.Tx) error {
		was, err := deleteConsent(tx, principal, client)
		if err != nil {
			return err
		}
		if !was {
			audit.Barrier(tx)
			return known(tx, client)
		}
		audit.Append(tx, by, audit.Event{Action: "consent.revoke", TargetType: "consent", Target: consentKey(principal, client), Invalidates: true,
			Data: map[string]any{"principal": principal, "client": client, "reason": reason}})
		return nil
	})
	return finish(ctx, err, func(ctx context.Context) error {
		return s.endBelow(ctx, by, realm, ancestor{Kind: "consent", ID: principal, Client: client}, reason)
	})
}

func known(tx *db.Tx, id string) error {
	_, err := client.DeletedTx(tx, id)
	return err
}

// DisableClient stops a client and kills all that was granted to it. That is a
// cut-off: however many grants there are, they die at once, here and at every
// verifier, and stay dead when the client is enabled again.
func (s *Store) DisableClient(ctx context.Context, by audit.Actor, realm, id string, version int64, guard Guard) error {
	err := s.db.Update(ctx, realm, func(tx *db.Tx) error {
		if err := guard.check(tx); err != nil {
			return err
		}
		_, err := s.Clients.DisableTx(tx, by, id, version)
		return err
	})
	return finish(ctx, err, func(ctx context.Context) error {
		return s.endBelow(ctx, by, realm, ancestor{Kind: "client", ID: id}, "client disabled")
	})
}

// DeleteClient deletes a client and, like DisableClient, kills all that was
// granted to it.
func (s *Store) DeleteClient(ctx context.Context, by audit.Actor, realm, id string, version int64, guard Guard) error {
	err := s.db.Update(ctx, realm, func(tx *db.Tx) error {
		if err := guard.check(tx); err != nil {
			return err
		}
		return s.Clients.DeleteTx(tx, by, id, version)
	})
	return finish(ctx, err, func(ctx context.Context) error {
		return s.endBelow(ctx, by, realm, ancestor{Kind: "client", ID: id}, "client deleted")
	})
}

// deadTokensPerClient bounds how many single tokens of one client are dead at a
// time: they are the one thing about tokens that verifiers must remember.
const deadTokensPerClient = 1000

// RevokeToken kills a single access token of a standing grant (RFC 7009), by
// its jti and until it would have expired. The other tokens of the grant live
// on. Past the bound of its client it is fault.Unavailable.
func (s *Store) RevokeToken(ctx context.Context, by audit.Actor, realm, client, jti string, expires time.Time) error {
	return s.db.Update(ctx, realm, func(tx *db.Tx) error {
		if !tx.Now.Before(expires) {
			return nil
		}
		n, err := countDeadTokens(tx, client)
		if err != nil {
			return err
		}
		fresh, err := insertDeadToken(tx, jti, client, expires)
		if err != nil {
			return err
		}
		if !fresh {
			audit.Barrier(tx)
			return nil
		}
		if n >= deadTokensPerClient {
			return fault.New(fault.Unavailable, "dead_tokens_exhausted",
				"client %q has %d revoked tokens that have not expired; revoke its grant, or wait", client, n).WithRetry(30 * time.Second)
		}
		audit.Append(tx, by, audit.Event{Action: "token.revoke", TargetType: "token", Target: jti, Invalidates: true,
			Data: map[string]any{"client": client}, JTI: &audit.DeadToken{JTI: jti, Client: client, Expires: expires}})
		return nil
	})
}
