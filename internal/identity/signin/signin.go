// Package signin is the door through which people come: the pages from "who
// are you" to "signed in", from there to consent, and out again.
//
// Somebody on the way to an application is in a flow: other doors [Server.Begin]
// one and [Server.Resume] it at the end. No page leads to another: each notes
// what it learned and returns to the dispatcher, which alone decides what is
// next, so that no step can be left out or done out of turn.
//
// The package knows no protocol. It does not say what a client may get, only
// who is there and what they agreed to.
package signin

import (
	"context"
	"embed"
	"io/fs"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed frames
var frames embed.FS

// Options are what the door stands on. All are required but Risk, Passkeys,
// Limiter, SetUp, Frames, Desk and Terms.
type Options struct {
	DB        *db.DB
	Once      *once.Store
	Sessions  *session.Store
	Passwords *credential.Passwords
	Factors   *credential.Factors
	Risk      *risk.Guard          // nil: nothing looks wrong
	Passkeys  *credential.Passkeys // nil: nobody is asked for one
	People    *principal.Directory
	Clients   *client.Registry
	// Application finds the client of a flow, which may be no row yet. Nil: it is
	// one of Clients.
	Application func(ctx context.Context, rl *realm.Realm, id string) (*client.Client, error)
	Grants      *grant.Store
	Approvals   *approval.Store
	Details     *detail.Registry
	Words       *i18n.Catalogue
	Assets      *web.Assets  // from look.Assets
	FormKey     []byte       // the same on all nodes
	Limiter     *web.Limiter // holds an address to RateFlow; nil: to nothing
	SetUp       SetUp        // nil: there is no page for it
	// Frames are what a browser must load for the applications of a session to
	// learn that it ends; nil: nothing.
	Frames func(ctx context.Context, realm, issuer, session string) ([]string, error)
	Desk   *life.Desk      // nil: there are no pages for it
	Terms  *terms.Registry // nil: nothing is to be accepted
	// PasskeysAt is the path of the page on which people manage their passkeys.
	PasskeysAt string
	// Letters and Jobs send codes by mail; nil: nobody signs in by one.
	Letters *letter.Letters
	Jobs    *job.Queue
}

// SetUp makes the first administrator of a realm, once.
type SetUp interface {
	// SetupOpen reports whether a link is still good: nil, or fault.NotFound.
	SetupOpen(ctx context.Context, realm, link string) error
	// Setup uses the link and gives the id of whom it made. fault.Invalid with
	// Fields (name, username, email, password) leaves it unused.
	Setup(ctx context.Context, by audit.Actor, realm, link string, p FirstPerson) (principal string, err error)
}

// FirstPerson is who wants to administer a realm first.
type FirstPerson struct {
	Name, Username, Email string
	Password              secret.Text
}

// Server answers for every realm.
type Server struct {
	Options
	look  *look.Look
	frame *web.Pages // without the layout
	forms *web.Forms
	// factors are those of factorTable.
	factors []Factor
}

// New returns the door. It fails when a template is broken.
func New(o Options) (*Server, error) {
	pages, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	l, err := look.New(pages, o.Assets, o.Words)
	if err != nil {
		return nil, err
	}
	bare, err := fs.Sub(frames, "frames/bare")
	if err != nil {
		return nil, err
	}
	inside, err := fs.Sub(frames, "frames")
	if err != nil {
		return nil, err
	}
	frame, err := web.NewPages(bare, inside)
	if err != nil {
		return nil, err
	}
	s := &Server{Options: o, look: l, frame: frame, forms: web.NewForms(o.FormKey, flowCookie)}
	s.factors = s.factorTable()
	if s.Jobs != nil {
		s.Jobs.Handle(job.Kind{Name: KindMailCode, Do: s.sendMail})
	}
	return s, nil
}
