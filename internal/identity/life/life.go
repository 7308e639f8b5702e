// Package life owns how an account begins, changes hands of its owner, and ends:
// registering oneself, invitations, addresses that are confirmed and changed, the
// forgotten password, leaving, and taking one's data along.
//
// Whoever asks for a letter is told the same, at the same time, whether or not
// there is an account: nothing is looked up while they wait. A job does that, and
// the owner of the address learns the rest by mail. Without mail, what needs it
// is not offered.
package life

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/action"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/realm"
)

// Options are what the desk stands on. All are required but Send, Keep,
// Forget, Erase and Further.
type Options struct {
	DB        *db.DB
	Log       *audit.Log
	Realms    *realm.Registry
	People    *principal.Directory
	Links     *action.Links
	Passwords *credential.Passwords
	Sessions  *session.Store
	Grants    *grant.Store
	Jobs      *job.Queue
	// Send sends a letter if the transaction commits; nil: there is no mail.
	Send func(tx *db.Tx, l letter.Letter) error
	// Keep refuses, in the transaction of a person's end, to end somebody who must
	// stay, such as a realm's last owner.
	Keep func(tx *db.Tx, by audit.Actor, person string) error
	// Alarm tells those who watch, in the transaction in which a person takes back
	// what somebody else did to their account; nil: nobody watches.
	Alarm func(tx *db.Tx, by audit.Actor, person string) error
	// Forget removes, in the transaction of a person's end, what others keep of them.
	Forget []func(tx *db.Tx, by audit.Actor, person string) error
	// Erase removes, after a person's end, what others keep of them elsewhere. It
	// may be called again.
	Erase func(ctx context.Context, by audit.Actor, realm, person string) error
	// Further are the sections that other packages add to what Export writes.
	Further []Section
}

// Desk is where accounts begin, change and end.
type Desk struct{ Options }

// New returns the desk. Call it before the jobs are started.
func New(o Options) *Desk {
	d := &Desk{o}
	o.Jobs.Handle(job.Kind{Name: asking, Do: d.answer})
	o.Grants.OnDelete(d.forget)
	o.Grants.SetDormant(dormant)
	return d
}

// Mail reports whether there is mail, without which nothing here is offered but
// links that operators hand out.
func (d *Desk) Mail() bool { return d.Send != nil }

// asking is the kind of the jobs that answer whoever asked for a letter.
const asking = "account.letter"

// asked is what somebody asked for, by whom nothing is known yet.
type asked struct {
	What    what        `json:"what"`
	Text    string      `json:"text"`             // what was typed
	Person  string      `json:"person,omitempty"` // who is signed in and asks
	Locale  string      `json:"locale,omitempty"`
	Flow    string      `json:"flow,omitempty"`
	Browser string      `json:"browser,omitempty"` // hash of the mark of the browser that asks
	By      audit.Actor `json:"by"`
	Expires time.Time   `json:"expires"` // after which nobody waits for the letter
}

// what can be asked for.
type what string

const (
	toRegister what = "register"
	toReset    what = "reset"
	toChange   what = "change"
	toVerify   what = "verify"
)

// waitsFor is how long whoever asked may be taken to wait for the letter.
const waitsFor = time.Hour

// ask has a job answer, so that the time it takes to say so tells nothing.
func (d *Desk) ask(ctx context.Context, by audit.Actor, realm string, a asked) error {
	if !d.Mail() {
		return noMail()
	}
	a.By = by
	return d.DB.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		a.Expires = tx.Now.Add(waitsFor)
		payload, err := json.Marshal(a)
		if err != nil {
			return err
		}
		_, err = d.Jobs.AddTx(tx, job.Promise{Kind: asking, Subject: string(a.What), Payload: payload})
		return err
	})
}

// answer does what was asked for.
func (d *Desk) answer(ctx context.Context, j *job.Job) error {
	var a asked
	if err := json.Unmarshal(j.Payload, &a); err != nil {
		return job.Never(err)
	}
	if !d.Mail() {
		return job.Never(noMail())
	}
	r, err := d.Realms.ByName(ctx, j.Realm)
	if err != nil {
		return err
	}
	return d.DB.Update(ctx, j.Realm, func(tx *db.Tx) error {
		if !tx.Now.Before(a.Expires) {
			return nil
		}
		switch a.What {
		case toRegister:
			return d.answerRegister(tx, r.Settings, a)
		case toReset:
			return d.answerReset(tx, r.Settings, a)
		case toChange:
			return d.answerChange(tx, a)
		}
		return nil
	})
}

func noMail() error {
	return fault.New(fault.Conflict, "mail_off", "there is no mail here: name a mail server (CARDEA_MAIL_SERVER), or hand out a link")
}

// nobody reports whether err says that there is nobody, or nobody who may act.
func nobody(err error) bool { return fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) }

// person is the actor for what somebody does to their own account by a link.
func person(by audit.Actor, id string) audit.Actor {
	by.Kind, by.ID = "person", id
	return by
}
