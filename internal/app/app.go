// Package app puts the program together, in the order in which things depend on
// each other. Nothing imports it but cmd and tests of the whole.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/access/decide"
	"github.com/cardea-id/cardea/internal/access/edge"
	"github.com/cardea-id/cardea/internal/access/guard"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/opa"
	"github.com/cardea-id/cardea/internal/access/opal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/admin/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/config"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/geo"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/action"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/notice"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/registration"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/signal"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/mail"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// Config is what an App is made of.
type Config struct {
	Settings *config.Config
	Version  string
	Output   io.Writer // where log lines go; nil is standard error
	// Again has certificate files read again at once.
	Again <-chan os.Signal

	// MasterKey replaces the configured key, in tests.
	MasterKey []byte
	// Now replaces the database's clock, in tests.
	Now func() time.Time
	// Fetch reaches out to addresses that others chose; nil is made from the
	// settings. Tests have one that reaches their servers.
	Fetch *web.Fetcher
	// Mail sends letters in the place of the configured server, in tests.
	Mail mail.Sender
	// Postbox keeps letters instead of sending them and shows them on pages of
	// package postbox. It is for a development node.
	Postbox *mail.Shelf
	// Quiet leaves out the request log, in tests.
	Quiet bool
	// CheapPasswords hashes passwords without cost, in tests.
	CheapPasswords bool
}

// App is the assembled program.
type App struct {
	Config
	DB          *db.DB
	Log         *audit.Log
	Realms      *realm.Registry
	People      *principal.Directory
	Credentials *credential.Store
	Factors     *credential.Factors
	Passwords   *credential.Passwords
	Passkeys    *credential.Passkeys
	Sessions    *session.Store
	Clients     *client.Registry
	Trust       *trust.Registry
	Ring        *keyring.Ring
	Once        *once.Store
	Approvals   *approval.Store
	Grants      *grant.Store
	Details     *detail.Registry
	Registered  *registration.Registry
	Tokens      *token.Gate
	Operators   *operator.Registry
	Desk        *life.Desk
	Terms       *terms.Registry
	Jobs        *job.Queue
	Places      *geo.File // nil: there is none
	Letters     *letter.Letters
	Risk        *risk.Guard
	Journal     *journal.Journal
	Facts       *relation.Store
	Policies    *version.Registry
	Snapshots   *decide.Snapshots
	Plane       *agent.Plane
	Guard       *guard.Guard
	// Snapshot is what the decision service judges on.
	Snapshot func(ctx context.Context, realm string, min audit.Position) (*policy.Snapshot, audit.Position, error)
	API      *api.Server
	Mux      *web.Mux
	Handler  http.Handler

	control *db.DB // sequencing and leases have connections of their own
	answers *once.Answers
	signals *signal.Server
	edges   *edge.Server
	opa     *opa.Server
	opal    *opal.Server
	tasked  *job.Schedule
	meters  *meters
	lines   *web.Log
	slog    *slog.Logger
	words   *i18n.Catalogue
	closers []func()
}

// New opens the database, applies what is missing of the schema and assembles
// the program. Close it even if Start is never called.
func New(ctx context.Context, c Config) (a *App, err error) {
	if c.Output == nil {
		c.Output = os.Stderr
	}
	a = &App{Config: c}
	defer func() {
		if err != nil {
			a.Close()
			a = nil
		}
	}()
	if err := a.openLog(); err != nil {
		return a, err
	}
	if err := a.openDatabase(ctx); err != nil {
		return a, err
	}
	master := c.MasterKey
	if master == nil {
		if master, err = c.Settings.ReadMasterKey(); err != nil {
			return a, err
		}
	}
	if err := a.cores(master); err != nil {
		return a, err
	}
	if err := a.doors(master); err != nil {
		return a, err
	}
	a.tasked = job.New(a.DB, a.Log.Node(), a.slog, a.tasks()...)
	return a, nil
}

// openLog starts the log lines of this process.
func (a *App) openLog() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.Settings.Log.Level)); err != nil {
		return fmt.Errorf("log level %q: %w", a.Settings.Log.Level, err)
	}
	if a.Settings.Log.Format == "text" {
		a.slog = slog.New(slog.NewTextHandler(a.Output, &slog.HandlerOptions{Level: level}))
	}
	if !a.Quiet {
		a.lines = web.NewLog(a.Output, time.Now, level)
		a.closers = append(a.closers, func() { _ = a.lines.Close() })
		if a.slog == nil {
			a.slog = a.lines.Slog()
		}
	}
	if a.slog == nil {
		a.slog = slog.New(slog.DiscardHandler)
	}
	return nil
}

func (a *App) openDatabase(ctx context.Context) (err error) {
	if err := a.Settings.PrepareData(); err != nil {
		return err
	}
	o := db.Options{URL: a.Settings.DatabaseURL(), DirectURL: string(a.Settings.Database.DirectURL),
		MaxConns: a.Settings.Database.MaxConnections, Now: a.Now, Log: a.slog}
	if a.DB, err = db.Open(ctx, o); err != nil {
		return err
	}
	a.closers = append(a.closers, a.DB.Close)
	a.control = a.DB
	if a.DB.Engine() == db.Postgres {
		o.MaxConns = 4
		if a.control, err = db.Open(ctx, o); err != nil {
			return err
		}
		a.closers = append(a.closers, a.control.Close)
	}
	return a.DB.Migrate(ctx)
}

// cores makes what holds the rules and the rows. Followers of the log are told
// in the order in which they are made here.
func (a *App) cores(master []byte) (err error) {
	box, err := secret.NewBox(master)
	if err != nil {
		return err
	}
	issuer, err := url.Parse(a.Settings.Issuer)
	if err != nil {
		return err
	}
	a.Log = audit.New(a.DB, audit.Options{Control: a.control, Log: a.slog})
	a.Log.SetSigner(checkpointSigner(issuer.Host, master))
	if a.Realms, err = realm.NewRegistry(a.DB, a.Log, a.Settings.Issuer); err != nil {
		return err
	}
	var breached *credential.Breaches
	if path := a.Settings.Passwords.BreachFile; path != "" {
		if breached, err = credential.OpenBreaches(path); err != nil {
			return err
		}
		a.closers = append(a.closers, func() { _ = breached.Close() })
	}
	if path := a.Settings.GeoIP.File; path != "" {
		if a.Places, err = geo.Open(path); err != nil {
			return err
		}
		a.closers = append(a.closers, func() { _ = a.Places.Close() })
	}
	a.Ring = keyring.New(a.DB, a.Log, box, keyring.Options{})
	a.Jobs = job.NewQueue(a.DB, a.Log.Node(), box, a.slog)
	if err := a.letters(issuer.Hostname()); err != nil {
		return err
	}
	a.Once = once.New(a.DB, a.Log.Epoch)
	a.Approvals = approval.NewStore(a.DB, a.Log, box)
	a.answers = once.NewAnswers(a.Once, box)
	a.People = principal.NewDirectory(a.DB, a.Log)
	a.Credentials = credential.NewStore(a.DB, a.Log, box)
	a.Factors = credential.NewFactors(a.DB, a.Log, a.Realms, box)
	if a.Fetch == nil {
		a.Fetch = web.NewFetcher(web.FetchOptions{AllowHosts: a.Settings.Fetch.AllowHosts, Loopback: !a.Settings.Production(), Agent: "cardea"})
	}
	a.Passwords = credential.NewPasswords(a.DB, a.Log, a.Realms, credential.PasswordOptions{Breached: breached, Service: a.ranges(), Cheap: a.CheapPasswords})
	a.Passkeys = credential.NewPasskeys(a.DB, a.Log, a.Realms, a.People, a.Credentials, a.Once, secret.Derive(master, "cardea/passkeys/v1"))
	a.Sessions = session.NewStore(a.DB, a.Log, a.Realms, a.People, a.Credentials)
	a.Clients = client.New(a.DB, a.Log, a.Credentials)
	a.Trust = trust.New(a.DB, a.Log, a.Realms, a.Credentials)
	a.Details = detail.New(a.DB, a.Log)
	cores := grant.Cores{Realms: a.Realms, Principals: a.People, Credentials: a.Credentials,
		Sessions: a.Sessions, Clients: a.Clients, Ring: a.Ring}
	a.Grants = grant.NewStore(a.DB, a.Log, cores)
	a.Registered = registration.New(a.DB, a.Clients, a.Credentials, a.Grants, a.Fetch)
	a.Tokens = token.NewGate(a.DB, a.Log, cores, a.Grants)
	a.Operators = operator.New(a.DB, a.Log, a.Once, a.Passwords, a.Clients)
	a.Risk = risk.New(risk.Options{DB: a.DB, Log: a.Log, Realms: a.Realms, Grants: a.Grants, Places: a.Places, Key: secret.Derive(master, "cardea/risk/v1"), Tell: a.tellRisk})
	a.Passwords.SetWatch(a.Risk)
	a.Passkeys.SetOnRegress(a.Risk.CounterTx)
	a.Grants.SetOnMisuse(a.Risk.Misused)
	a.Grants.OnDelete(risk.ForgetTx)
	a.Grants.OnDelete(credential.ForgetTx)
	a.Grants.OnDelete(session.ForgetTx)
	a.Grants.OnDelete(audit.ForgetTx)
	a.access(box)
	if err := a.guard(); err != nil {
		return err
	}
	a.Terms = terms.NewRegistry(a.DB, a.Log)
	var send func(*db.Tx, letter.Letter) error // nil: nothing is offered that needs mail
	if a.Letters.Ready() {
		send = a.Letters.SendTx
	}
	a.Desk = life.New(life.Options{Send: send, DB: a.DB, Log: a.Log, Realms: a.Realms, People: a.People, Links: action.New(a.Once), Passwords: a.Passwords,
		Sessions: a.Sessions, Grants: a.Grants, Jobs: a.Jobs, Keep: func(tx *db.Tx, _ audit.Actor, person string) error { return a.Operators.KeepOwner(tx, person) },
		Alarm: risk.Restored, Forget: []func(*db.Tx, audit.Actor, string) error{a.Operators.ForgetTx}, Erase: a.Trust.Erase, Further: []life.Section{{Name: "accepted_terms", List: a.exportTerms}, {Name: "ways_to_sign_in", List: a.exportProofs}, {Name: "memberships", List: a.exportMemberships}}})
	a.Journal = journal.New(a.DB, a.Log.Node(), a.slog)
	a.agents(master)
	notice.Attach(a.Log, a.Letters)
	credential.FollowMailboxes(a.Log)
	a.Log.OnEpoch(a.killAgain)
	a.Realms.OnUpdate(client.FitRealm)
	a.Realms.OnCreate(func(tx *db.Tx, by audit.Actor, _ *realm.Realm) error { return a.Clients.BuiltIns(tx, by) })
	return nil
}

// Start joins the nodes and makes sure of the default realm and its keys. When
// it returns the handler may be served.
func (a *App) Start(ctx context.Context) error {
	if err := a.Log.Start(ctx); err != nil {
		return err
	}
	a.closers = append(a.closers, a.Log.Close, a.Grants.Status.Close)
	if err := a.Realms.Ensure(ctx, audit.System); err != nil {
		return fmt.Errorf("default realm: %w", err)
	}
	if err := a.Ring.Prepare(ctx, audit.System, realm.Default); err != nil {
		return fmt.Errorf("keys of the default realm: %w", err)
	}
	a.Snapshots.Start()
	a.closers = append(a.closers, a.Snapshots.Close)
	a.tasked.Start()
	a.closers = append(a.closers, a.Policies.Close, a.tasked.Close)
	a.Jobs.Start()
	a.closers = append(a.closers, a.Jobs.Close)
	a.Journal.Start()
	a.closers = append(a.closers, a.Journal.Close)
	a.Plane.Start()
	a.closers = append(a.closers, a.Plane.Close)
	return nil
}

// RunDue runs the recurring work that is due now, instead of when the schedule
// next looks.
func (a *App) RunDue(ctx context.Context) error { return a.tasked.RunDue(ctx) }

// Close ends everything, newest first.
func (a *App) Close() {
	if a.signals != nil {
		a.signals.Close()
	}
	if a.edges != nil {
		a.edges.Close()
	}
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

// Logger is where the program says what operators should know.
func (a *App) Logger() *slog.Logger { return a.slog }

// ranges is the service that knows breached passwords, nil if none is configured.
func (a *App) ranges() *credential.Range {
	if a.Settings.Passwords.RangeURL == "" {
		return nil
	}
	return &credential.Range{Closed: a.Settings.Passwords.RangeFailure == "closed", Get: func(ctx context.Context, digits string) ([]byte, error) {
		got, err := a.Fetch.Get(ctx, a.Settings.Passwords.RangeURL+digits, "text/plain")
		if err != nil {
			return nil, err
		}
		return got.Body, nil
	}}
}
