// Package letter writes to people by mail: which letters there are, their words
// in each language, and who is told where. Letters are promised in the
// transaction of what they tell and delivered by the job queue, so that none is
// lost, none is sent for what was rolled back, and nobody waits for the mail
// server.
//
// A letter says what the catalogue says. Of what strangers chose, names among
// it, only little is let in, and no address of a page but those of the realm:
// otherwise we would deliver other people's advertising under our own name.
package letter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/mail"
	"github.com/cardea-id/cardea/internal/realm"
)

// Letter is what somebody is to be told.
type Letter struct {
	Kind string // one of the table kinds
	// Principal is whom it is about; "" for somebody who has no account yet.
	Principal string
	// To is the address. "" is the primary address of Principal, if it is
	// verified; where there is none, no letter is written.
	To string
	// Locale is the language, "" the person's, else the realm's.
	Locale string
	// Link is the path within the realm where the button leads, with its query,
	// such as /reset?link=…. The rest of the address is the realm's issuer.
	Link string
	// Code is to be typed in by the reader.
	Code string
	// Data are the arguments of the words, and what is shown below them: device is
	// a User-Agent header, place an address or a country, factor a list of types
	// of credentials.
	Data map[string]string
	// Life is how long Link or Code is good; the words say so, and what could
	// not be delivered within it is not delivered.
	Life time.Duration
}

// Options are what Letters stand on.
type Options struct {
	DB     *db.DB
	Jobs   *job.Queue
	Realms *realm.Registry
	Words  *i18n.Catalogue
	Sender mail.Sender // nil: there is no mail
	// NotMe makes the link by which the reader of a notice says that it was not
	// them, a path within the realm; "" or nil: the notice leads to the start page.
	NotMe func(tx *db.Tx, principal, kind string) (string, error)
}

// Letters writes to people.
type Letters struct {
	Options
	paper *paper
}

// New has letters delivered. Call it before the queue is started.
func New(o Options) (*Letters, error) {
	p, err := newPaper()
	if err != nil {
		return nil, err
	}
	l := &Letters{Options: o, paper: p}
	o.Jobs.Handle(job.Kind{Name: JobKind, Do: l.deliver, Attempts: attempts})
	return l, nil
}

// JobKind is the kind of the jobs that deliver letters.
const JobKind = "mail"

// attempts take about a day. What people wait for has expired long before.
const attempts = 32

// Lanes of the queue: what somebody waits for is not behind what nobody does.
const (
	laneNow   = "mail"
	laneLater = "mail-notices"
)

// Ready reports whether there is mail at all. Where there is none, letters are
// written to nobody, and pages offer other ways.
func (l *Letters) Ready() bool { return l.Sender != nil }

// written is a letter in its job.
type written struct {
	Kind   string            `json:"kind"`
	To     string            `json:"to"`
	Locale string            `json:"locale,omitempty"`
	Name   string            `json:"name,omitempty"` // to be greeted by
	Zone   string            `json:"zone,omitempty"`
	Link   string            `json:"link,omitempty"`
	Code   string            `json:"code,omitempty"`
	NotMe  string            `json:"not_me,omitempty"`
	Data   map[string]string `json:"data,omitempty"`
	At     int64             `json:"at"` // milliseconds
	Until  int64             `json:"until,omitempty"`
	Life   time.Duration     `json:"life,omitempty"`
}

// SendTx promises a letter: it is delivered if the transaction commits. Nothing
// in the answer tells whether there is anybody to write to.
func (l *Letters) SendTx(tx *db.Tx, n Letter) error {
	_, err := l.promise(tx, n)
	return err
}

// Test has a letter sent that says that mail works, in the language of the
// realm. It gives the job, which tells operators whether it does.
func (l *Letters) Test(ctx context.Context, by audit.Actor, realm, to string) (j *job.Job, err error) {
	if !l.Ready() {
		return nil, fault.New(fault.Conflict, "mail_off", "no mail server is configured (CARDEA_MAIL_SERVER, CARDEA_MAIL_FROM)")
	}
	if err := mail.CheckAddress(to); err != nil {
		return nil, fault.New(fault.Invalid, "to_invalid", "to is an address such as ada@example.com").WithField("to", "is an address such as ada@example.com")
	}
	var id string
	err = l.DB.Update(ctx, realm, func(tx *db.Tx) error {
		if id, err = l.promise(tx, Letter{Kind: "test", To: to}); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "mail.test", TargetType: "job", Target: id})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l.Jobs.ByID(ctx, realm, id)
}

// promise gives the id of the job, "" where nobody is written to.
func (l *Letters) promise(tx *db.Tx, n Letter) (string, error) {
	k, ok := kinds[n.Kind]
	if !ok {
		return "", fmt.Errorf("letter: there is no kind %q", n.Kind)
	}
	if err := n.fits(k); err != nil || !l.Ready() {
		return "", err
	}
	w := written{Kind: n.Kind, To: n.To, Locale: n.Locale, Link: n.Link, Code: n.Code, At: tx.Now.UnixMilli(), Life: n.Life, Data: map[string]string{}}
	for name, v := range n.Data {
		w.Data[name] = plain(v)
	}
	if n.Life > 0 {
		w.Until = tx.Now.Add(n.Life).UnixMilli()
	}
	if n.Principal != "" {
		p, err := principal.ByIDTx(tx, n.Principal)
		if fault.Is(err, fault.NotFound) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		w.about(p)
		if k.notMe && l.NotMe != nil && w.To != "" {
			if w.NotMe, err = l.NotMe(tx, p.ID, n.Kind); err != nil {
				return "", err
			}
		}
	}
	if w.To == "" {
		return "", nil
	}
	if err := mail.CheckAddress(w.To); err != nil {
		return "", fmt.Errorf("letter %s: %w", n.Kind, err)
	}
	payload, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	about := job.Promise{Kind: JobKind, Target: laneLater, Subject: n.Principal, Payload: payload}
	if k.urgent {
		about.Target = laneNow
	}
	return l.Jobs.AddTx(tx, about)
}

// about fills in what the person's own row says: where to, in which language,
// and by which name. Only an address that was proved to be theirs is greeted:
// whoever makes an account for somebody else's address could choose the name.
func (w *written) about(p *principal.Principal) {
	if p.State == principal.Deleted {
		return
	}
	if primary := p.Email(); w.To == "" && primary.Verified {
		w.To = primary.Address
	}
	if w.Locale == "" {
		w.Locale = p.Locale
	}
	w.Zone = p.Profile.Zoneinfo
	for _, e := range p.Emails {
		if e.Verified && principal.Canonical(e.Address) == principal.Canonical(w.To) {
			w.Name = greetable(p)
		}
	}
}

// fits holds a letter to its kind.
func (n Letter) fits(k kind) error {
	switch {
	case k.button != (n.Link != ""):
		return fmt.Errorf("letter %s: a link is needed: %t", n.Kind, k.button)
	case n.Link != "" && !within(n.Link):
		return fmt.Errorf("letter %s: a link is a path within the realm", n.Kind)
	case k.code != (n.Code != ""):
		return fmt.Errorf("letter %s: a code is needed: %t", n.Kind, k.code)
	case k.expires != (n.Life > 0):
		return fmt.Errorf("letter %s: a life is needed: %t", n.Kind, k.expires)
	}
	return nil
}

// within reports whether a link stays below the realm's issuer.
func within(link string) bool {
	return strings.HasPrefix(link, "/") && !strings.HasPrefix(link, "//") && !strings.Contains(link, "\\") && !strings.Contains(link, "..") &&
		strings.IndexFunc(link, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '<' || r == '>' }) < 0
}

// deliver does a job.
func (l *Letters) deliver(ctx context.Context, j *job.Job) error {
	var w written
	if err := json.Unmarshal(j.Payload, &w); err != nil {
		return job.Never(errors.New("the letter cannot be read"))
	}
	if w.Until != 0 && l.DB.Now().UnixMilli() >= w.Until {
		return job.Never(errors.New("what the letter brings has expired before it could be delivered"))
	}
	if !l.Ready() {
		return errors.New("no mail server is configured on this node (CARDEA_MAIL_SERVER)")
	}
	re, err := l.Realms.ByName(ctx, j.Realm)
	if err != nil {
		return err
	}
	m, err := l.write(re, w)
	if err != nil {
		return job.Never(err)
	}
	m.ID = j.ID
	if err := l.Sender.Send(ctx, m); errors.Is(err, mail.ErrRefused) {
		return job.Never(err)
	} else {
		return err
	}
}
