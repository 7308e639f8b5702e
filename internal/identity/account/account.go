// Package account is the door to one's own account: who is signed in where,
// what happened, what applications may do, and what one proves oneself with. It
// shows what belongs to whoever is signed in and nothing else; whatever is
// changed here ends on every node before the page says so.
//
// How somebody proves who they are is the business of package signin, to which
// it sends browsers that nobody is signed in with.
package account

import (
	"context"
	"embed"
	"io/fs"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/geo"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed assets
var files embed.FS

// Options are what the door stands on. All are required but Places.
type Options struct {
	DB          *db.DB
	Log         *audit.Log
	Pages       *signin.Server
	People      *principal.Directory
	Credentials *credential.Store
	Sessions    *session.Store
	Clients     *client.Registry
	Grants      *grant.Store
	Once        *once.Store
	Risk        *risk.Guard
	Approvals   *approval.Store
	Places      *geo.File // nil: nothing is known of places
	// Console reports, from memory, whether somebody may see the operators' pages.
	Console func(ctx context.Context, realm, principal string) (bool, error)
	Words   *i18n.Catalogue
	Assets  *web.Assets // made of Assets too
}

// Server answers for every realm.
type Server struct {
	Options
	look *look.Look
}

// Assets are the files of the door's pages.
func Assets() (fs.FS, error) { return fs.Sub(files, "assets") }

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
	return &Server{Options: o, look: l}, nil
}
