// Package logout tells applications that a session has ended: all those that
// somebody was signed in to with it, by OpenID Connect Back-Channel Logout 1.0,
// whichever way it ended. For those that can be told by the browser only
// (Front-Channel Logout 1.0) it gives the frames that the sign-out page loads.
//
// The transaction that ends sessions promises a job, so that no end is lost.
// The job looks up whom to tell and promises one delivery for each, which is
// repeated until the application has heard it. Sessions that run out by
// themselves are told to nobody: applications know from the ID token when they
// have to ask again.
package logout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/job"
)

// The kinds of jobs.
const (
	KindEnded    = "session-ended"      // find out whom to tell
	KindDelivery = "backchannel-logout" // tell one application
)

// Options are what a Notifier stands on.
type Options struct {
	DB       *db.DB
	Jobs     *job.Queue
	Sessions *session.Store
	Clients  *client.Registry
	Grants   *grant.Store
	Tokens   *token.Gate
	// Post sends a form and returns nil if it was taken: 200 or 204 (section 2.8).
	Post func(ctx context.Context, uri string, form url.Values) error
}

// Notifier tells applications.
type Notifier struct{ Options }

// New has every session's end told. Call it before anything is started.
func New(o Options) *Notifier {
	n := &Notifier{o}
	o.Jobs.Handle(job.Kind{Name: KindEnded, Do: n.ended})
	o.Jobs.Handle(job.Kind{Name: KindDelivery, Do: n.deliver})
	o.Sessions.OnEnd(n.promise)
	return n
}

// promise runs in the transaction that ends sessions. It looks up nothing: a
// grant may be about to be born of a session whose end it races, and is there to
// be seen only afterwards.
func (n *Notifier) promise(tx *db.Tx, sessions []string) error {
	payload, err := json.Marshal(sessions)
	if err != nil {
		return err
	}
	about := job.Promise{Kind: KindEnded, Payload: payload}
	if len(sessions) == 1 {
		about.Subject = sessions[0]
	}
	_, err = n.Jobs.AddTx(tx, about)
	return err
}

// delivery is what one application is to be told.
type delivery struct {
	Session   string `json:"session"`
	Principal string `json:"principal"`
}

// ended promises a delivery to each application that wants one. Done again, it
// promises nothing anew.
func (n *Notifier) ended(ctx context.Context, j *job.Job) error {
	var sessions []string
	if err := json.Unmarshal(j.Payload, &sessions); err != nil {
		return job.Never(err)
	}
	for _, id := range sessions {
		e, err := n.Sessions.ByID(ctx, j.Realm, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		told, err := n.Told(ctx, j.Realm, id)
		if err != nil {
			return err
		}
		if err := n.promiseDeliveries(ctx, j.Realm, e, told); err != nil {
			return err
		}
	}
	return nil
}

// Told lists the applications that somebody was signed in to with a session and
// that live, whether or not the grants they got do: an application that has
// given its tokens back may still have a session of its own.
func (n *Notifier) Told(ctx context.Context, realm, session string) (all []*client.Client, err error) {
	ids, err := n.Grants.ClientsOf(ctx, realm, session)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		c, err := n.Clients.Live(ctx, realm, id)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (n *Notifier) promiseDeliveries(ctx context.Context, realm string, e *session.Session, told []*client.Client) error {
	payload, err := json.Marshal(delivery{e.ID, e.Principal})
	if err != nil {
		return err
	}
	return n.DB.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		for _, c := range told {
			if c.BackChannelLogoutURI == "" {
				continue
			}
			if _, err := n.Jobs.AddTx(tx, job.Promise{Kind: KindDelivery, Key: e.ID + " " + c.ID, Target: c.ID, Subject: e.ID, Payload: payload}); err != nil {
				return err
			}
		}
		return nil
	})
}

// deliver sends a logout token. Each attempt makes one of its own, since a token
// that was sent before may have expired, or be one that its receiver remembers.
func (n *Notifier) deliver(ctx context.Context, j *job.Job) error {
	var d delivery
	if err := json.Unmarshal(j.Payload, &d); err != nil {
		return job.Never(err)
	}
	c, err := n.Clients.Live(ctx, j.Realm, j.Target)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return job.Never(fmt.Errorf("client %q is disabled or deleted", j.Target))
	}
	if err != nil {
		return err
	}
	if c.BackChannelLogoutURI == "" {
		return job.Never(errors.New("the client has no backchannel_logout_uri any more"))
	}
	text, err := n.Tokens.MintLogout(ctx, j.Realm, c, token.Logout{ID: j.ID + "." + strconv.Itoa(j.Attempts), Principal: d.Principal, Session: d.Session})
	if err != nil {
		return err
	}
	return n.Post(ctx, c.BackChannelLogoutURI, url.Values{"logout_token": {text}})
}
