package credential

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// Tried is an attempt as whoever watches it is shown it.
type Tried struct {
	Subject   string // id of a principal, or "?" and the hash of an identifier that is nobody's
	Known     bool   // the browser has signed in to the account before
	Suspended bool
	Password  secret.Text
}

// Watch looks at attempts besides the limits of this package.
type Watch interface {
	// Admit is asked before an attempt is evaluated: how long it has to wait, or
	// whether it is to be found wrong whatever it is.
	Admit(ctx context.Context, realm string, by audit.Actor, t Tried) (wait time.Duration, shut bool, err error)
	// Note is told whether the password was right, also that of a suspended
	// account.
	Note(ctx context.Context, realm string, by audit.Actor, t Tried, right bool) error
}

// refuseSignIn leaves a trace of an attempt that failed, of which also its target is
// told if it is somebody.
func refuseSignIn(log *audit.Log, name string, by audit.Actor, target, reason, factor string) {
	log.Activity(name, by, audit.Activity{Action: "signin.refuse", Target: target, Reason: reason, Tell: factor, Data: audit.Details{"factor", factor}})
}

// SetWatch has every attempt watched. Call it before the first.
func (p *Passwords) SetWatch(w Watch) { p.watch = w }

func (c candidate) tried(password string) Tried {
	return Tried{Subject: c.bucket.subject, Known: c.bucket.browser != "", Password: secret.Text(password),
		Suspended: c.principal != nil && c.principal.State == principal.Suspended}
}

// admit asks the watch, if there is one.
func (p *Passwords) admit(ctx context.Context, name string, by audit.Actor, t Tried) (wait time.Duration, shut bool, err error) {
	if p.watch == nil {
		return 0, false, nil
	}
	return p.watch.Admit(ctx, name, by, t)
}

// noted tells the watch, if there is one.
func (p *Passwords) noted(ctx context.Context, name string, by audit.Actor, t Tried, right bool) error {
	if p.watch == nil {
		return nil
	}
	return p.watch.Note(context.WithoutCancel(ctx), name, by, t, right)
}

// KnownBrowserTx is the hash of a browser's mark if the browser has signed in to
// an account before, otherwise "".
func KnownBrowserTx(tx *db.Tx, principal, hash string) (string, error) {
	return knownBrowser(tx, principal, hash)
}

// AskKnown asks whether the browser with a mark has signed in to an account
// before, and does not wait yet.
func AskKnown(tx *db.Tx, principal, mark string) func() (bool, error) {
	hash := BrowserHash(mark)
	if hash == "" {
		return func() (bool, error) { return false, nil }
	}
	known := askKnown(tx, principal, hash)
	return func() (bool, error) {
		_, err := known.One()
		if db.Missing(err) {
			return false, nil
		}
		return err == nil, err
	}
}
