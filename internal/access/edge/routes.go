package edge

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Routes mounts the door. What it answers depends on the node's lease: a node that
// cannot know what changed signs nothing. A POST asks for the same stream and
// brings the client's credentials in a form, where assertions belong (RFC 7523,
// section 2.2).
func (s *Server) Routes(m *web.Mux) {
	m.Handle("GET "+Path+"/stream", s.stream)
	m.Handle("POST "+Path+"/stream", s.stream)
	m.Handle("POST "+Path+"/decisions", s.decisions)
}

// Fail writes an error as a problem document; one about the caller's credential
// says which credentials are taken.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	web.RefuseClient(w, r, err, realm.IssuerFrom(r.Context()), Scope)
}
