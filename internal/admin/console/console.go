// Package console is the door for operators with a browser: a playground for
// policies, and the roles that are held. It does nothing that the admin API does
// not do, asks it about every act, and shows what the same cores say.
package console

import (
	"context"
	"embed"
	"io/fs"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/admin/api"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed assets starter
var files embed.FS

// Options are what the door stands on. All are required.
type Options struct {
	DB       *db.DB
	API      *api.Server // judges what an operator may do
	Pages    *signin.Server
	People   *principal.Directory
	Policies *version.Registry
	Facts    *relation.Store
	// Snapshot is what access is judged on: for one question, or, where there is
	// none, for all. It is nil for a realm without policies.
	Snapshot func(ctx context.Context, realm string, min audit.Position, q *policy.Question) (*policy.Snapshot, audit.Position, error)
	Words    *i18n.Catalogue
	Assets   *web.Assets // made of Assets too
}

// Server answers for every realm.
type Server struct {
	Options
	look  *look.Look
	tries chan struct{} // drafts that are judged at a time: none may starve what is asked in earnest
}

// atOnce bounds how many drafts are judged at a time.
const atOnce = 2

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
	return &Server{Options: o, look: l, tries: make(chan struct{}, atOnce)}, nil
}
