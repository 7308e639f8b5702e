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

// RememberTx notes that the browser with a mark signs in to an account, so that
// its guesses are counted apart from strangers'. Call it where a session begins.
func RememberTx(tx *db.Tx, principal, mark string) error {
	_, note := AskRemember(tx, principal, mark)
	return note()
}

// AskRemember is RememberTx that does not wait yet. It also tells whether the browser
// had signed in to the account before.
func AskRemember(tx *db.Tx, principal, mark string) (known func() (bool, error), note func() error) {
	hash := BrowserHash(mark)
	if hash == "" {
		return func() (bool, error) { return false, nil }, func() error { return nil }
	}
	seen := askSeen(tx, principal, hash)
	known = func() (bool, error) {
		at, err := seen()
		return !at.IsZero(), err
	}
	return known, func() error {
		at, err := seen()
		if err != nil || !at.IsZero() && tx.Now.Sub(at) < seenExact {
			return err
		}
		if err := noteBrowser(tx, principal, hash); err != nil || !at.IsZero() {
			return err
		}
		return forgetBrowsers(tx, principal, maxBrowsers)
	}
}

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
