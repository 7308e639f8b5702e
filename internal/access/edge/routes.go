package edge

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
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
// says which credentials are taken (RFC 9110, section 11.6.1; RFC 6750, section 3).
func Fail(w http.ResponseWriter, r *http.Request, err error) {
	name := "cardea"
	if rl := realm.From(r.Context()); rl != nil {
		name = rl.Issuer
	}
	challenge := `realm="` + name + `"`
	switch {
	case fault.Is(err, fault.Unauthenticated):
		bearer := "Bearer " + challenge + `, scope="` + Scope + `"`
		if strings.HasPrefix(strings.ToLower(r.Header.Get("Authorization")), "bearer ") {
			bearer += `, error="invalid_token"`
		}
		w.Header().Add("WWW-Authenticate", bearer)
		w.Header().Add("WWW-Authenticate", "Basic "+challenge+`, charset="UTF-8"`)
	case fault.Is(err, fault.Forbidden):
		w.Header().Add("WWW-Authenticate", "Bearer "+challenge+`, error="insufficient_scope", scope="`+Scope+`"`)
	}
	web.Problem(w, r, err)
}
