package credential

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/secret"
)

// retire ends a password that another takes the place of. Where the realm wants
// it, its hash is kept among the latest so many.
func retire(tx *db.Tx, old Credential, history int) error {
	end := revoke
	if history > 0 {
		end = revokeKept
	}
	if err := end(tx, old.ID); err != nil {
		return err
	}
	return dropHashes(tx, old.Principal, history)
}

// unused refuses a password that is one of somebody's earlier ones, where the
// realm wants that.
func (p *Passwords) unused(ctx context.Context, name, id string, password secret.Text) error {
	r, err := p.realms.ByName(ctx, name)
	if err != nil || r.Settings.PasswordHistory == 0 {
		return err
	}
	text, err := normalise(string(password))
	if err != nil {
		return err
	}
	var earlier []string
	err = p.db.View(ctx, name, func(tx *db.Tx) error {
		if earlier, err = keptHashes(tx, id); err != nil {
			return err
		}
		now, err := livePassword(tx, id)
		if now.ID != "" {
			earlier = append([]string{now.data}, earlier...)
		}
		return err
	})
	if err != nil {
		return err
	}
	leave, err := p.hasher.admit()
	if err != nil {
		return err
	}
	defer leave()
	for _, data := range earlier[:min(len(earlier), r.Settings.PasswordHistory+1)] {
		hash, err := parseHash(data)
		if err != nil {
			continue // one that nobody can check is nobody's any more
		}
		var again bool
		if err := p.hasher.run(ctx, func() { again = hash.matches(text) }); err != nil {
			return err
		}
		if again {
			return refuse("password_reused", "this password is one of the earlier ones")
		}
	}
	return nil
}

// expired reports whether a password must be replaced for its age.
func (c Credential) expired(now time.Time, most time.Duration) bool {
	return most > 0 && !now.Before(c.CreatedAt.Add(most))
}
