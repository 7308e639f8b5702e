package app

import (
	"context"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/access/edge"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/oauth"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// edgeDoor makes the door for edges. What it tells rests on Snapshots, which hears
// of each event first.
func (a *App) edgeDoor(protocol *oauth.Server) *edge.Server {
	who := mayBeEdge{a.Tokens, protocol}
	return edge.New(edge.Options{Log: a.Log, Snapshot: a.snapshot, Touches: touches,
		Signer: func(ctx context.Context, name string) (*jose.Key, error) {
			return a.Ring.Signer(ctx, name, client.DefaultAlg)
		},
		Authorize: who.follow, AuthorizeUpload: who.upload, Note: a.noteEdge, Now: a.DB.Now, Logger: a.slog})
}

// touches says about whom an event changes facts.
func touches(r audit.Record) edge.Touch {
	if r.Action == relation.Changed {
		_, c, err := relation.ChangeOf(r.Event)
		if err != nil {
			return edge.Touch{Unknown: true}
		}
		t := edge.Touch{Dropped: c.Drop}
		for _, list := range [][]graph.Tuple{c.Add, c.Remove} {
			for _, x := range list {
				t.Seen = append(t.Seen, x.Subject)
			}
		}
		for _, list := range [][]graph.Attribute{c.Set, c.Unset} {
			for _, x := range list {
				t.Seen = append(t.Seen, x.Entity)
			}
		}
		return t
	}
	t := edge.Touch{Policies: version.Applied(r)}
	changed, ended := touched(r)
	for _, id := range changed {
		if e, ok := replica.Principal(id); ok {
			t.Seen = append(t.Seen, e)
		}
	}
	for _, id := range ended {
		if e, ok := replica.Principal(id); ok {
			t.Dropped = append(t.Dropped, e)
		}
	}
	return t
}

// noteEdge writes down what an edge decided, where the realm keeps decisions.
func (a *App) noteEdge(rl *realm.Realm, client string, all []*replica.Decision, lost int64) bool {
	if rl.Settings.DecisionLog <= 0 {
		return true
	}
	if !a.Journal.Room(rl.Name) {
		return false
	}
	a.Journal.Lost(rl.Name, lost)
	for _, d := range all {
		kind := journal.Evaluation
		switch d.Kind {
		case journal.SearchSubject, journal.SearchResource, journal.SearchAction:
			kind = d.Kind
		}
		a.noteDecision(rl, &journal.Entry{ID: d.ID, At: d.At, Kind: kind, Question: d.Question, Answer: d.Answer, Results: d.Results, Revision: d.Revision,
			Refused: d.Refused, Client: client, Request: d.Request, Token: d.Token, Grant: d.Grant, Session: d.Session, Application: d.Application})
	}
	return true
}

// mayBeEdge decides who may hold a realm's facts: a client that is allowed the
// scope for it, proved as at the token endpoint, or its own access token with that
// scope. A person's token is not enough: an edge sees what is known of everybody.
type mayBeEdge struct {
	tokens  *token.Gate
	clients *oauth.Server
}

func (m mayBeEdge) follow(w http.ResponseWriter, r *http.Request) (*edge.Caller, error) {
	if shown, ok := oauth.ReadPresented(r); ok && r.Method == http.MethodGet {
		return m.bearer(w, r, shown)
	}
	if r.Method == http.MethodGet && r.Header.Get("Authorization") == "" {
		return nil, noEdge()
	}
	who, err := m.clients.Authenticate(w, r)
	if err != nil {
		return nil, err
	}
	return m.client(r.Context(), who)
}

// upload is follow for a body that is no form.
func (m mayBeEdge) upload(w http.ResponseWriter, r *http.Request) (*edge.Caller, error) {
	if shown, ok := oauth.ReadPresented(r); ok {
		return m.bearer(w, r, shown)
	}
	if len(r.Header["Authorization"]) != 1 || !strings.HasPrefix(strings.ToLower(r.Header.Get("Authorization")), "basic ") {
		return nil, noEdge()
	}
	who, err := m.clients.AuthenticateBasic(r)
	if err != nil {
		return nil, refusal(err)
	}
	return m.client(r.Context(), who)
}

func (m mayBeEdge) client(ctx context.Context, who *oauth.Caller) (*edge.Caller, error) {
	still := func(ctx context.Context) error {
		c, err := who.Still(ctx)
		if err != nil {
			return err
		}
		if !c.AllowsScope(edge.Scope) {
			return fault.New(fault.Forbidden, "insufficient_scope", "client %q is not allowed scope %s", c.ID, edge.Scope)
		}
		return nil
	}
	return &edge.Caller{Client: who.Client().ID, Still: still}, still(ctx)
}

func (m mayBeEdge) bearer(w http.ResponseWriter, r *http.Request, shown oauth.Presented) (*edge.Caller, error) {
	found := realm.From(r.Context())
	if _, err := m.clients.Accept(w, r, found, shown); err != nil {
		return nil, unless503(oauth.Elsewhere(err), noEdge())
	}
	who := &edge.Caller{}
	// What the token is bound to has been shown once for the whole stream.
	who.Still = func(ctx context.Context) error {
		t, err := m.tokens.Recognise(ctx, found.Name, shown.Token)
		if err != nil {
			return unless503(err, noEdge())
		}
		if !t.For(found.Issuer + edge.Path) { // RFC 9068, section 4
			return noEdge()
		}
		if !t.Allows(edge.Scope) || entityType(t.Principal) == typeUser {
			return fault.New(fault.Forbidden, "insufficient_scope", "the access token is not a client's own with scope %s", edge.Scope)
		}
		who.Client = t.Client
		return nil
	}
	return who, who.Still(r.Context())
}

func noEdge() error {
	return fault.New(fault.Unauthenticated, "credential_missing", "be an edge with the credentials of a client that is allowed scope %s, or with its access token", edge.Scope)
}
