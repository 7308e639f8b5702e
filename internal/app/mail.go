package app

import (
	"errors"
	"net/url"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/postbox"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// letters decides who delivers mail: tests, the pages of a development node, or
// the configured server; or that nobody does.
func (a *App) letters(host string) (err error) {
	if a.words, err = i18n.Load(); err != nil {
		return err
	}
	sender := a.Mail
	switch {
	case sender != nil:
	case a.Postbox != nil:
		sender = a.Postbox
	default:
		if sender, err = a.Settings.Sender(host); err != nil {
			return err
		}
	}
	a.Letters, err = letter.New(letter.Options{DB: a.DB, Jobs: a.Jobs, Realms: a.Realms, Words: a.words, Sender: sender, NotMe: a.notMe})
	return err
}

// notMeLife is how long the reader of a notice can say that it was not them.
const notMeLife = 30 * 24 * time.Hour

// notMe makes the link by which the reader of a notice says so. It is used up at
// the account's page of that name, which asks first.
func (a *App) notMe(tx *db.Tx, person, _ string) (string, error) {
	link := secret.New("cdl_")
	err := a.Once.Put(tx, link, once.Value{Purpose: "not_me", Subject: person, Expires: tx.Now.Add(notMeLife)})
	return "/account/not-me?" + url.Values{"link": {string(link)}}.Encode(), err
}

// postbox mounts the pages that show letters, on a development node that keeps
// them.
func (a *App) postbox(assets *web.Assets, fail web.Fail) error {
	if a.Postbox == nil {
		return nil
	}
	if a.Settings.Production() {
		return errors.New("a production node shows nobody's mail")
	}
	shown, err := postbox.New(postbox.Options{Shelf: a.Postbox, Words: a.words, Assets: assets, Fail: fail, Rate: signin.RatePage})
	if err != nil {
		return err
	}
	shown.Mount(a.Mux)
	return nil
}
