package risk

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

// Admit implements credential.Watch: what an attempt by an unknown browser meets
// before its password is looked at. A known browser meets nothing.
func (g *Guard) Admit(ctx context.Context, name string, by audit.Actor, a credential.Tried) (wait time.Duration, shut bool, err error) {
	if a.Known {
		return 0, false, nil
	}
	network := hashNetwork(g.Key, name, networkOf(by.IP))
	var slowed []hold
	err = g.DB.Glance(ctx, name, func(tx *db.Tx) error {
		wait, shut, slowed = 0, false, nil
		holds, err := holdsOn(tx, a.Subject, network)()
		if err != nil {
			return err
		}
		for _, h := range holds {
			switch {
			case h.action >= Lock && h.subject == a.Subject:
				// Whoever guesses is not to learn that the account is locked, nor
				// that it is somebody's.
				shut = true
			case h.action >= Lock:
				wait = max(wait, h.until.Sub(tx.Now))
			case h.action == Slow:
				slowed = append(slowed, h)
			}
		}
		return nil
	})
	if err != nil || wait > 0 || shut || len(slowed) == 0 {
		return wait, shut, err
	}
	err = g.DB.UpdateRC(ctx, name, func(tx *db.Tx) error {
		wait = 0
		for _, h := range slowed {
			ok, err := takeTurn(tx, h.subject, h.detector, slowEvery)
			if err != nil {
				return err
			}
			if !ok {
				wait = slowEvery
			}
		}
		return nil
	})
	return wait, false, err
}

// Note implements credential.Watch: how an attempt by an unknown browser ended.
func (g *Guard) Note(ctx context.Context, name string, by audit.Actor, a credential.Tried, right bool) error {
	if a.Known {
		return nil
	}
	rl, err := g.Realms.ByName(ctx, name)
	if err != nil {
		return err
	}
	shown := networkOf(by.IP)
	network, who := hashNetwork(g.Key, name, shown), hashAccount(g.Key, name, a.Subject)
	revoked := ""
	err = g.DB.UpdateRC(ctx, name, func(tx *db.Tx) error {
		revoked = ""
		s := g.scene(tx.Now, wrongTry, by)
		raise := func(again func(time.Time, string) bool, about string) error {
			for _, f := range s.look(g.limits) {
				if actionFor(rl.Settings, f.Detector) == Off || (about == "") != (f.Detector != Suspended) || !again(tx.Now, f.Detector) {
					continue
				}
				_, ended, err := g.raise(tx, by, rl.Settings, signal{Finding: f, principal: about, network: network, shown: shown})
				if err != nil {
					return err
				}
				if ended {
					revoked = about
				}
			}
			return nil
		}
		if network != "" {
			if s.source, err = lockSource(tx, network); err != nil {
				return err
			}
			s.source.note(tx.Now, who, right && !a.Suspended)
		}
		if !right {
			if err := g.noteEcho(tx, s, who, a); err != nil {
				return err
			}
		}
		if network != "" {
			if !right {
				if err := raise(s.source.again, ""); err != nil {
					return err
				}
			}
			if err := writeSource(tx, network, s.source); err != nil {
				return err
			}
		}
		if !a.Suspended {
			return nil
		}
		if s.person, err = lockPerson(tx, a.Subject); err != nil {
			return err
		}
		s.person.refused(tx.Now)
		s.fact.suspended, s.fact.matches = true, right
		if err := raise(s.person.again, a.Subject); err != nil {
			return err
		}
		return writePerson(tx, a.Subject, s.person)
	})
	if revoked != "" {
		return g.finish(ctx, by, name, revoked, err)
	}
	return err
}

// noteEcho remembers at which account a wrong password was tried.
func (g *Guard) noteEcho(tx *db.Tx, s *scene, who uint32, a credential.Tried) (err error) {
	today := day(tx.Now)
	bucket := hashPassword(g.Key, tx.Realm, today, a.Password)
	if s.echo, err = lockEcho(tx, today, bucket); err != nil {
		return err
	}
	if s.echo.note(who) {
		if err := writeEcho(tx, today, bucket, s.echo); err != nil {
			return err
		}
	}
	if s.echo.accounts() < g.limits.sprayAccounts {
		return nil
	}
	all, err := triedOn(tx, today)
	s.chance = float64(all-int64(s.echo.accounts())) / echoes
	return err
}
