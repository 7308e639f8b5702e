package authzen

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Paths below the issuer. The metadata name them.
const (
	pathOne       = Path + "/evaluation"
	pathMany      = Path + "/evaluations"
	pathSubjects  = Path + "/search/subject"
	pathResources = Path + "/search/resource"
	pathActions   = Path + "/search/action"
	pathMetadata  = "/.well-known/authzen-configuration"
)

// Mount is the whole door at a glance. Questions are answered while the node has
// its lease; the metadata stay right without it.
func (s *Server) Mount(root *web.Mux) {
	m := root.Door("access", s.fail, web.Cross(web.CORS{Methods: "POST", Headers: "Authorization, Content-Type, DPoP, X-Request-ID, Min-Revision",
		Expose: "WWW-Authenticate, Retry-After, DPoP-Nonce, X-Request-ID, Cardea-Revision", Allow: s.o.AllowsOrigin}))
	m.Handle("POST "+pathOne, s.evaluation)
	m.Handle("POST "+pathMany, s.evaluations)
	m.Handle("POST "+pathSubjects, s.search(subjects))
	m.Handle("POST "+pathResources, s.search(resources))
	m.Handle("POST "+pathActions, s.search(actions))
	m.Handle("POST "+pathResidual, s.residual)

	open := root.Door("access", s.fail, web.LeaseOff)
	open.Handle("GET "+pathMetadata, s.metadata, web.Cross(web.CORS{Any: true, Methods: "GET"}))
}

// fail writes an error as a problem document; one about the caller's credential
// says which are taken (RFC 9110, section 11.6.1; RFC 6750, section 3; RFC 9449,
// section 7.1; RFC 9728, section 5.1).
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	_, _ = echo(w, r)
	if rl := realm.From(r.Context()); rl != nil {
		s.challenge(w.Header(), r, rl, err)
	}
	web.Problem(w, r, err)
}

func (s *Server) challenge(h http.Header, r *http.Request, rl *realm.Realm, err error) {
	algs := strings.Join(s.o.Algorithms, " ")
	add := func(scheme, code, algs string) {
		h.Add("WWW-Authenticate", web.Challenge(scheme, "realm", rl.Issuer, "scope", Scope, "resource_metadata", rl.ResourceMetadata(Path), "error", code, "algs", algs))
	}
	scheme := schemeOf(r)
	switch code := fault.Code(err); {
	case fault.Is(err, fault.Forbidden) && code == "insufficient_scope":
		add(scheme, code, "")
	case !fault.Is(err, fault.Unauthenticated):
	case scheme == "DPoP":
		if code != "invalid_dpop_proof" && code != "use_dpop_nonce" {
			code = "invalid_token"
		}
		add(scheme, code, algs)
	default:
		code = ""
		if scheme == "Bearer" {
			code = "invalid_token"
		}
		add("Bearer", code, "")
		h.Add("WWW-Authenticate", web.Challenge("DPoP", "algs", algs))
		h.Add("WWW-Authenticate", web.Challenge("Basic", "realm", rl.Issuer, "charset", "UTF-8"))
	}
}
