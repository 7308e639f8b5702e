package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/authzen"
	"github.com/cardea-id/cardea/internal/access/edge"
	"github.com/cardea-id/cardea/internal/access/opa"
	"github.com/cardea-id/cardea/internal/access/opal"
	"github.com/cardea-id/cardea/internal/admin/api"
	"github.com/cardea-id/cardea/internal/admin/console"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/account"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/logout"
	"github.com/cardea-id/cardea/internal/identity/oauth"
	"github.com/cardea-id/cardea/internal/identity/signal"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// limits holds one address to a rate, as a shield against floods. What servers
// and gateways call for many people from one address is not limited by address.
// Guesses are counted exactly, per account, in the database.
func (a *App) limits() map[string]web.Limit {
	classes := api.Limits(a.Settings.Rates)
	for class, r := range map[string]config.Rate{authzen.RateAsk: a.Settings.Rates.AccessAsk, authzen.RateSearch: a.Settings.Rates.AccessSearch, authzen.RateRefused: a.Settings.Rates.AccessRefused} {
		classes[class] = web.Limit{Rate: r.PerSecond(), Burst: max(1, r.Count/6)}
	}
	classes[opa.RateAgent] = web.Limit{Rate: 200, Burst: 2000}
	classes[opa.RateRefused] = web.Limit{Rate: 1, Burst: 30}
	classes[signin.RatePage] = web.Limit{Rate: 50, Burst: 500}
	classes[signin.RateLetter] = web.Limit{Rate: 0.5, Burst: 30}
	classes[signin.RateFlow] = web.Limit{Rate: 10, Burst: 300}
	classes[oauth.RatePoll] = web.Limit{Rate: 20, Burst: 400}
	classes[oauth.RateDevice] = web.Limit{Rate: 5, Burst: 200}
	classes[oauth.RateRegister] = web.Limit{Rate: 1, Burst: 60}
	classes[oauth.RateDocument] = web.Limit{Rate: 0.5, Burst: 30}
	classes[signin.RateMail] = web.Limit{Rate: 0.1, Burst: 30}
	classes[signin.RateGuess] = web.Limit{Rate: 5, Burst: 100}
	return classes
}

// seesConsole reports, from memory, whether somebody's role lets them read what the
// console begins with.
func (a *App) seesConsole(ctx context.Context, in, principal string) (bool, error) {
	o, err := a.Operators.ByPrincipal(ctx, in, principal)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return o.Role.May(operator.PoliciesRead), err
}

// doors makes what speaks HTTP and mounts it.
func (a *App) doors(master []byte) error {
	words := a.words
	files, err := account.Assets()
	if err != nil {
		return err
	}
	desk, err := console.Assets()
	if err != nil {
		return err
	}
	assets, err := look.Assets(files, desk)
	if err != nil {
		return err
	}
	limiter := web.NewLimiter(a.limits(), time.Now)
	a.Mux = web.NewMux(web.MuxOptions{Live: a.Log.Live, Limiter: limiter, Secure: a.https()})
	told := logout.New(logout.Options{DB: a.DB, Jobs: a.Jobs, Sessions: a.Sessions, Clients: a.Clients, Grants: a.Grants, Tokens: a.Tokens, Post: a.Fetch.Post})
	var protocol *oauth.Server
	pages, err := signin.New(signin.Options{DB: a.DB, Once: a.Once, Sessions: a.Sessions, Passwords: a.Passwords, Risk: a.Risk, Factors: a.Factors, People: a.People,
		Clients: a.Clients, Grants: a.Grants, Frames: told.Frames, Approvals: a.Approvals, Details: a.Details, Words: words, Assets: assets, FormKey: secret.Derive(master, "cardea/forms/v1"), Limiter: limiter,
		Passkeys: a.Passkeys, PasskeysAt: account.Path + "/factors",
		SetUp: setUp{a.Operators}, Desk: a.Desk, Terms: a.Terms, Letters: a.Letters, Jobs: a.Jobs,
		Application: func(ctx context.Context, rl *realm.Realm, id string) (*client.Client, error) {
			return protocol.Shown(ctx, rl, id)
		}})
	if err != nil {
		return err
	}
	own, err := account.New(account.Options{DB: a.DB, Log: a.Log, Pages: pages, People: a.People, Credentials: a.Credentials, Sessions: a.Sessions,
		Clients: a.Clients, Grants: a.Grants, Once: a.Once, Risk: a.Risk, Approvals: a.Approvals, Places: a.Places, Console: a.seesConsole, Words: words, Assets: assets})
	if err != nil {
		return err
	}
	var languages []string
	for _, l := range words.Locales() {
		languages = append(languages, l.Tag())
	}
	protocol = oauth.New(oauth.Options{DB: a.DB, Log: a.Log, Ring: a.Ring, Principals: a.People, Credentials: a.Credentials,
		Clients: a.Clients, Trust: a.Trust, Grants: a.Grants, Tokens: a.Tokens, Once: a.Once, Approvals: a.Approvals, Pages: pages, Details: a.Details, Registrations: a.Registered,
		Fetch: a.Fetch, Realms: a.Realms, Jobs: a.Jobs, Limiter: limiter, Notifier: oauth.Webhook{Ring: a.Ring, Send: a.Fetch.Send}, Locales: languages,
		MTLS: oauth.MTLS{On: a.Settings.MTLS.Asks(), URL: a.Settings.MTLS.URL}})
	a.signals = signal.New(signal.Options{Log: a.Log, Keys: a.Ring, Index: a.Grants.Status, Authorize: mayFollow{a.Tokens, protocol}.authorize,
		Now: a.DB.Now, Elapsed: db.Boottime, Logger: a.slog})
	a.edges = a.edgeDoor(protocol)

	asked, err := a.decisions(master, protocol, limiter)
	if err != nil {
		return err
	}

	a.Mux.Fallback(pages.FailAny)
	pages.Mount(a.Mux)
	own.Mount(a.Mux)
	assets.Mount(a.Mux)
	protocol.Mount(a.Mux)
	if err := a.postbox(assets, pages.Fail); err != nil {
		return err
	}
	a.signals.Routes(a.Mux.Door("signal", signal.Fail))
	asked.Mount(a.Mux)
	a.edges.Routes(a.Mux.Door("edge", edge.Fail))
	a.opa = opa.New(opa.Options{Authenticate: agency{a.Tokens, protocol}.authenticate, Plane: a.Plane, Limiter: limiter})
	a.opa.Mount(a.Mux)
	clients := fleet{agency{a.Tokens, protocol}, a.Mux}
	a.opal = opal.New(opal.Options{Authenticate: clients.authenticate, Mint: clients.mint, Plane: a.Plane, Limiter: limiter, Now: a.DB.Now})
	a.opal.Mount(a.Mux)
	a.API = api.New(a.Mux, api.Options{Authenticate: operatorToken{protocol}.read, Now: a.DB.Now, Log: a.Log, Limiter: limiter, Realms: a.Realms,
		Operators: a.Operators, Desk: a.Desk, Terms: a.Terms, Policies: a.Policies, Agents: a.Plane, AgentConfig: func(rl *realm.Realm) (wire.AgentConfig, error) { return agentConfig(master, rl) }, People: a.People, Credentials: a.Credentials, Sessions: a.Sessions,
		Clients: a.Clients, Trust: a.Trust, Details: a.Details, Registered: a.Registered, Keys: a.Ring, Grants: a.Grants, Answers: a.answers, Jobs: a.Jobs, Facts: a.Facts, Risk: a.Risk, Letters: a.Letters, Journal: a.Journal, Snapshot: a.snapshotFor,
		Guard: a.Guard, Note: a.noteDecision})
	board, err := console.New(console.Options{DB: a.DB, API: a.API, Pages: pages, People: a.People, Policies: a.Policies, Facts: a.Facts, Snapshot: a.snapshotFor, Words: words, Assets: assets})
	if err != nil {
		return err
	}
	board.Mount(a.Mux)
	a.health(a.Mux)

	a.meters = newMeters(a.Log, a.Jobs, a.Journal)
	a.Jobs.Observe(a.meters.attempted)
	a.Handler = web.Front(web.Options{Now: time.Now, Since: time.Since, Log: a.lines, Proxies: web.NewProxies(a.Settings.TrustedProxies), CertHeader: a.Settings.MTLS.Header,
		HTTPS: a.https(), Resolve: a.resolve, Observe: a.meters.observe, Fail: pages.FailAny}, a.Mux)
	return nil
}

// https reports whether the world reaches this node by https.
func (a *App) https() bool { return strings.HasPrefix(a.Settings.Issuer, "https:") }

// resolve finds the realm of a request by its host and path.
func (a *App) resolve(r *http.Request) (web.Site, error) {
	found, rest, err := a.Realms.Resolve(r.Context(), r.Host, r.URL.Path)
	if err != nil {
		return web.Site{}, err
	}
	return web.Site{Path: rest, Name: found.Name, Key: realm.Key{}, Value: found}, nil
}

// operatorToken reads access tokens for the admin API.
type operatorToken struct{ door *oauth.Server }

func (o operatorToken) read(w http.ResponseWriter, r *http.Request, rl *realm.Realm, p api.Presented) (api.Token, error) {
	t, err := o.door.Accept(w, r, rl, oauth.Presented{Token: p.Token, DPoP: p.DPoP})
	if err != nil {
		return api.Token{}, oauth.Elsewhere(err)
	}
	return api.Token{Principal: t.Principal, Client: t.Client, Scopes: t.Scopes, Audience: t.Audience, ACR: t.ACR, AMR: t.AMR, AuthTime: t.AuthTime,
		ID: t.ID, Grant: t.Grant, Minted: t.Minted}, nil
}

// setUp is the operators' registry as the sign-in pages know it.
type setUp struct{ *operator.Registry }

func (s setUp) Setup(ctx context.Context, by audit.Actor, realm, link string, p signin.FirstPerson) (string, error) {
	return s.Registry.Setup(ctx, by, realm, link, p.Name, p.Username, p.Email, p.Password)
}
