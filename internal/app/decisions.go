package app

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/access/authzen"
	"github.com/cardea-id/cardea/internal/access/decide"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/oauth"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// decisions makes the door of the decision service.
func (a *App) decisions(master []byte, protocol *oauth.Server, limiter *web.Limiter) (*authzen.Server, error) {
	pages, err := secret.NewBox(secret.Derive(master, "cardea/access-pages/v1"))
	if err != nil {
		return nil, err
	}
	who := asking{tokens: a.Tokens, clients: a.Clients, grants: a.Grants, door: protocol}
	return authzen.New(authzen.Options{Authenticate: who.authenticate, Vouch: who.vouch, Snapshot: a.snapshotFor, Search: a.search, Partial: a.partial, Note: a.noteDecision,
		Signer: func(ctx context.Context, name string) (*jose.Key, error) {
			return a.Ring.Signer(ctx, name, client.DefaultAlg)
		},
		AllowsOrigin: func(r *http.Request, origin string) bool {
			ok, err := a.Clients.AllowsOrigin(r.Context(), realm.From(r.Context()).Name, origin)
			return err == nil && ok
		},
		Limiter: limiter, Now: a.DB.Now, Pages: pages, Algorithms: client.Algorithms()}), nil
}

// snapshot is what a realm's questions are judged on, nil where nothing is known.
func (a *App) snapshot(ctx context.Context, name string, min audit.Position) (*policy.Snapshot, audit.Position, error) {
	if a.Snapshot == nil {
		return nil, audit.Position{}, nil
	}
	return a.Snapshot(ctx, name, min)
}

// snapshotFor is snapshot, of which one question is asked, or, where there is
// none, many.
func (a *App) snapshotFor(ctx context.Context, name string, min audit.Position, q *policy.Question) (*policy.Snapshot, audit.Position, error) {
	snap, at, err := a.snapshot(ctx, name, min)
	if q != nil && fault.Code(err) == decide.CodeTooMany {
		return a.Snapshots.For(ctx, name, min, q)
	}
	return snap, at, err
}

// search searches a realm that has more facts than are held.
func (a *App) search(ctx context.Context, name, kind string, q *policy.Question, p policy.Page) (policy.Found, []string, *policy.Snapshot, audit.Position, error) {
	sought := map[string]decide.Sought{journal.SearchResource: decide.Resources, journal.SearchSubject: decide.Subjects, journal.SearchAction: decide.Actions}
	return a.Snapshots.Search(ctx, name, sought[kind], q, p)
}

// partial answers which rows somebody may see, in such a realm.
func (a *App) partial(ctx context.Context, name string, q *policy.Question, rows policy.Rows) (policy.Residual, *policy.Snapshot, audit.Position, error) {
	return a.Snapshots.Partial(ctx, name, q, rows)
}

// noteDecision writes down a decision, where the realm keeps them.
func (a *App) noteDecision(rl *realm.Realm, e *journal.Entry) {
	if rl.Settings.DecisionLog > 0 {
		a.Journal.Note(rl.Name, rl.Settings.Masked(), e)
	}
}

// asking joins the decision service with who asks: access never imports identity.
type asking struct {
	tokens  *token.Gate
	clients *client.Registry
	grants  *grant.Store
	door    *oauth.Server
}

// authenticate takes a token for the decision service, presented as it is bound,
// or the secret of a client that is a resource server or may ask for such tokens.
// See docs/decisions/0100.
func (a asking) authenticate(w http.ResponseWriter, r *http.Request, rl *realm.Realm) (c authzen.Caller, err error) {
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return c, fault.New(fault.Invalid, "invalid_request", "a token in an address is not accepted: addresses are logged")
	}
	shown, ok := oauth.ReadPresented(r)
	if !ok {
		return a.secret(r)
	}
	t, err := a.door.Accept(w, r, rl, shown)
	if err != nil {
		return c, refusal(oauth.Elsewhere(err))
	}
	if !meant(t, rl) { // RFC 9068, section 4
		return c, fault.New(fault.Unauthenticated, "invalid_token", "the access token is not for the decision service")
	}
	if !t.Allows(authzen.Scope) {
		return c, fault.New(fault.Forbidden, "insufficient_scope", "the access token has no scope %s", authzen.Scope)
	}
	c = authzen.Caller{Client: t.Client, Principal: t.Principal, Token: t.ID, Minted: t.Minted}
	if entityType(t.Principal) == typeUser {
		c.Person, err = a.vouched(r.Context(), rl, t)
	}
	return c, err
}

// meant reports whether a token is for the realm's decision service.
func meant(t *token.Token, rl *realm.Realm) bool {
	return slices.ContainsFunc(t.Audience, func(name string) bool {
		path, ok := strings.CutPrefix(name, rl.Issuer)
		return ok && path == authzen.Path
	})
}

func (a asking) secret(r *http.Request) (c authzen.Caller, err error) {
	const scheme = "basic "
	if sent := r.Header["Authorization"]; len(sent) != 1 || len(sent[0]) < len(scheme) || !strings.EqualFold(sent[0][:len(scheme)], scheme) {
		return c, fault.New(fault.Unauthenticated, "credential_missing", "ask with an access token that has scope %s, or with the secret of a resource server", authzen.Scope)
	}
	who, err := a.door.AuthenticateBasic(r)
	if err != nil {
		return c, refusal(err)
	}
	by := who.Client()
	if !by.ResourceServer && !by.AllowsScope(authzen.Scope) {
		return c, fault.New(fault.Forbidden, "insufficient_scope", "client %q is no resource server and has no scope %s", by.ID, authzen.Scope)
	}
	return authzen.Caller{Client: by.ID}, nil
}

// refusal is a 401 for a credential that is no good, whatever is wrong with it.
func refusal(err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return fault.New(fault.Unauthenticated, "invalid_token", "the credential is invalid, expired, revoked or bound otherwise")
	}
	return err
}

// vouch reads a person's token for a caller whose business it is: the client that
// got it, or a resource server that it is meant for, as at introspection.
func (a asking) vouch(ctx context.Context, rl *realm.Realm, by *authzen.Caller, text string) (*authzen.Vouched, error) {
	t, err := a.tokens.Recognise(ctx, rl.Name, text)
	if err != nil {
		return nil, refusal(err)
	}
	c, err := a.clients.Live(ctx, rl.Name, by.Client)
	if err != nil {
		return nil, refusal(err)
	}
	if !oauth.MayRead(c, t) {
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "the token is none of the caller's business")
	}
	return a.vouched(ctx, rl, t)
}

func (a asking) vouched(ctx context.Context, rl *realm.Realm, t *token.Token) (*authzen.Vouched, error) {
	v := &authzen.Vouched{Subject: policy.Entity{Type: entityType(t.Principal), ID: t.Principal}, Minted: t.Minted,
		Token: t.ID, Grant: t.Grant, Client: t.Client, Context: policy.Properties{"client": t.Client, "scopes": t.Scopes, "act": t.Actors}}
	if t.Subject != t.Principal {
		v.Alias = t.Subject // pairwise
	}
	if t.ACR != "" {
		v.Context["acr"] = t.ACR
	}
	if len(t.AMR) > 0 {
		v.Context["amr"] = t.AMR
	}
	if !t.AuthTime.IsZero() {
		v.Context["auth_time"] = t.AuthTime.Unix()
	}
	g, err := a.grants.Cached(ctx, rl.Name, t.Grant)
	if err != nil {
		return nil, refusal(err)
	}
	if v.Session = g.Session; v.Session != "" {
		v.Context["session"] = g.Session
	}
	return v, nil
}

// The types under which principals appear in policies.
const typeUser = "user"

func entityType(name string) string {
	kind, _, _ := strings.Cut(name, "_")
	if !id.Valid(kind, name) {
		return ""
	}
	switch kind {
	case "usr":
		return typeUser
	case "svc":
		return "service"
	case "wkl":
		return "workload"
	case "agt":
		return "agent"
	}
	return ""
}
