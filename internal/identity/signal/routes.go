package signal

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
	"github.com/cardea-id/cardea/internal/web"
)

// Scope is what an access token needs to follow the stream.
const Scope = "cardea:revocations"

// Routes mounts the door. Both answers depend on the node's lease: a node that
// cannot know what died signs nothing. A POST asks for the same stream and
// brings the client's credentials in a form, where assertions belong (RFC 7523,
// section 2.2).
func (s *Server) Routes(m *web.Mux) {
	m.Handle("GET "+statuslist.StreamPath, s.stream)
	m.Handle("POST "+statuslist.StreamPath, s.stream)
	m.Handle("GET "+statuslist.Path+"{id}", s.list, web.Cross(web.CORS{Any: true, Methods: "GET"}))
}

// Fail writes an error as a problem document; one about the caller's credential
// says which credentials are taken.
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	web.RefuseClient(w, r, err, realm.IssuerFrom(r.Context()), Scope)
}
