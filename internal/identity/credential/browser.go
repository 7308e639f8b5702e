package credential

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// BrowserPrefix begins the value of the cookie that marks a browser.
const BrowserPrefix = "cdb_"

// maxBrowsers is how many browsers of an account have attempts of their own;
// the one not seen for longest gives way.
const maxBrowsers = 10

// seenExact is how exactly it is noted when a browser signed in last.
const seenExact = time.Hour

// NewBrowser returns the mark for a browser that has none yet.
func NewBrowser() secret.Text { return secret.New(BrowserPrefix) }

// BrowserHash is how a browser's mark is kept, or "" for what is no mark.
func BrowserHash(mark string) string {
	if !secret.Valid(BrowserPrefix, mark) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(secret.Hash(mark))
}

// Visit is the last sign-in of a browser to an account; the zero Visit is none.
type Visit struct {
	At    time.Time // to the precision of seenExact
	Habit string    // as whoever asked to remember it put it
}

// RememberTx notes that the browser with a mark signs in to an account, so that
// its guesses are counted apart from strangers'. Call it where a session begins.
func RememberTx(tx *db.Tx, principal, mark string) error {
	_, note := AskRemember(tx, principal, mark)
	return note("")
}

// AskRemember is RememberTx that does not wait yet. It also tells of the visit before,
// and keeps a habit, where one is given.
func AskRemember(tx *db.Tx, principal, mark string) (last func() (*Visit, error), note func(habit string) error) {
	hash := BrowserHash(mark)
	if hash == "" {
		return func() (*Visit, error) { return &Visit{}, nil }, func(string) error { return nil }
	}
	last = askVisit(tx, principal, hash)
	return last, func(habit string) error {
		v, err := last()
		if err != nil || !v.At.IsZero() && tx.Now.Sub(v.At) < seenExact && (habit == "" || habit == v.Habit) {
			return err
		}
		if err := noteBrowser(tx, principal, hash, habit); err != nil || !v.At.IsZero() {
			return err
		}
		return forgetBrowsers(tx, principal, maxBrowsers)
	}
}

// AskHabits asks for the habits of all browsers that signed in to an account.
func AskHabits(tx *db.Tx, principal string) func() ([]string, error) { return askHabits(tx, principal) }

// ForgetHabitsTx forgets them.
func ForgetHabitsTx(tx *db.Tx, principal string) error { return forgetHabits(tx, principal) }

// DisbelieveTx has no browser pass for one that signed in to an account before:
// which of them are its owner's is not known any more.
func DisbelieveTx(tx *db.Tx, principal string) error { return forgetBrowsers(tx, principal, 0) }

// Remember is RememberTx in a transaction of its own; it returns the mark, a new
// one if the browser had none.
func (p *Passwords) Remember(ctx context.Context, realm, id, mark string) (secret.Text, error) {
	if BrowserHash(mark) == "" {
		mark = string(NewBrowser())
	}
	err := p.db.Update(ctx, realm, func(tx *db.Tx) error {
		if _, err := principal.LiveTx(tx, id); err != nil {
			return err
		}
		return RememberTx(tx, id, mark)
	})
	return secret.Text(mark), err
}
