// Package local is the door of an edge: the same AuthZEN as the server's, for the
// application beside it, over a Unix socket or loopback.
package local

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/edge"
	"github.com/cardea-id/cardea/internal/access/authzen"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// Options is what the door is made of.
type Options struct {
	Edge *edge.Edge
	// Base is where callers reach the door, such as http://127.0.0.1:7480.
	Base string
	// Detail is what callers are told beside yes and no: none, reasons or full.
	Detail string
	// Key is what callers show as a bearer token. Empty: whoever reaches the door
	// may ask.
	Key string
	Now func() time.Time
}

// HeaderAge is how old, in seconds, the facts were of which an answer was made.
const HeaderAge = "Cardea-Age"

// PathHealth is where the edge says how it fares, PathDigest where it says the
// hash of all that it holds.
const (
	PathHealth = "/healthz"
	PathDigest = "/digest"
)

// Handler returns the door.
func Handler(o Options) (http.Handler, error) {
	master := make([]byte, 32)
	_, _ = rand.Read(master) // never fails
	pages, err := secret.NewBox(master)
	if err != nil {
		return nil, err
	}
	d := door{o}
	asked := authzen.New(authzen.Options{Authenticate: d.authenticate, Vouch: d.vouch, Snapshot: d.snapshot, Fresh: o.Edge.Fresh, Upstream: d.upstream, Note: d.note,
		Signer:       func(context.Context, string) (*jose.Key, error) { return nil, errors.New("an edge signs nothing") },
		AllowsOrigin: func(*http.Request, string) bool { return false },
		Now:          o.Now, Pages: pages})
	mux := web.NewMux(web.MuxOptions{})
	asked.Mount(mux)
	about := mux.Door("health", web.Problem)
	about.Handle("GET "+PathHealth, d.health)
	about.Handle("GET "+PathDigest, d.digest)
	rl := &realm.Realm{Name: "edge", Issuer: o.Base, Settings: realm.Settings{DecisionDetail: o.Detail}}
	front := web.Front(web.Options{Now: o.Now, Fail: web.Problem, Resolve: func(r *http.Request) (web.Site, error) {
		// A page that was made to resolve to this machine must not ask.
		if !here(r.Host) {
			return web.Site{}, fault.New(fault.Forbidden, "host_unknown", "an edge answers for localhost only")
		}
		return web.Site{Path: r.URL.Path, Name: rl.Name, Key: realm.Key{}, Value: rl}, nil
	}}, mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()[HeaderAge] = []string{strconv.FormatFloat(o.Edge.Age().Seconds(), 'f', 3, 64)}
		front.ServeHTTP(w, r)
	}), nil
}

func here(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

type door struct{ o Options }

func (d door) authenticate(_ http.ResponseWriter, r *http.Request, _ *realm.Realm) (authzen.Caller, error) {
	if d.o.Key != "" {
		scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(shown), []byte(d.o.Key)) != 1 {
			return authzen.Caller{}, fault.New(fault.Unauthenticated, "credential_missing", "show the key of this edge as a bearer token")
		}
	}
	return authzen.Caller{Client: "edge"}, nil
}

func (d door) vouch(ctx context.Context, _ *realm.Realm, _ *authzen.Caller, token string) (*authzen.Vouched, error) {
	v, err := d.o.Edge.Vouch(ctx, token)
	if err != nil {
		return nil, fault.New(fault.Unauthenticated, authzen.CodeToken, "%s", err.Error())
	}
	return &authzen.Vouched{Subject: v.Subject, Context: v.Context, Minted: audit.AtRevision(v.Minted), Token: v.Token, Grant: v.Grant, Session: v.Session, Client: v.Client}, nil
}

func (d door) snapshot(ctx context.Context, _ string, min audit.Position, _ *policy.Question) (*policy.Snapshot, audit.Position, error) {
	snap, revision, err := d.o.Edge.At(ctx, min.Revision())
	if err != nil {
		err = fault.New(fault.Unavailable, authzen.CodeRevision, "%s", err.Error())
	}
	return snap, audit.AtRevision(revision), err
}

func (d door) upstream(ctx context.Context, q *policy.Question, token string, min audit.Position) (policy.Answer, string, bool) {
	a, revision, err := d.o.Edge.Upstream(ctx, q, token, min.Revision())
	return a, revision, err == nil
}

func (d door) note(_ *realm.Realm, e *journal.Entry) {
	d.o.Edge.Note(&replica.Decision{ID: e.ID, At: e.At, Kind: e.Kind, Question: e.Question, Answer: e.Answer, Results: e.Results, Revision: e.Revision, Refused: e.Refused,
		Request: e.Request, Token: e.Token, Grant: e.Grant, Session: e.Session, Application: e.Application})
}

// health says how the edge fares: 503 until there is something to decide on.
func (d door) health(w http.ResponseWriter, _ *http.Request) error {
	h := d.o.Edge.Health()
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	return web.JSON(w, status, h)
}

// digest lets operators compare edges. It reads everything, so it is for those who
// may ask questions.
func (d door) digest(w http.ResponseWriter, r *http.Request) error {
	if _, err := d.authenticate(w, r, nil); err != nil {
		return err
	}
	revision, digest, err := d.o.Edge.Digest()
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, map[string]string{"revision": revision, "digest": digest})
}
