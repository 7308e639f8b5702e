// Package opal is a drop-in server for fleets of opal-client: the WebSocket on which
// they are told of changes, policies, data and tokens, in the words of OPAL. What is
// in them is package agent's business.
package opal

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/access/opa"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// Path is where the server is, behind the issuer.
const Path = "/opal/v1"

// Options is what the door is made of.
type Options struct {
	// Authenticate finds out who calls. Besides what agents of OPA show, it is a
	// client's id and secret in base64 as a bearer token: a client of OPAL has one
	// token for its whole life.
	Authenticate func(w http.ResponseWriter, r *http.Request, rl *realm.Realm) (*opa.Caller, error)
	// Mint gives an access token for agents to whoever shows a client's secret, and
	// says how many seconds it lives.
	Mint    func(r *http.Request, rl *realm.Realm) (token string, seconds int64, err error)
	Plane   *agent.Plane
	Limiter *web.Limiter
	Now     func() time.Time
}

// Server is the door.
type Server struct {
	o       Options
	open    *opa.Seats
	closing chan struct{}
}

// New returns the door.
func New(o Options) *Server {
	return &Server{o: o, open: opa.NewSeats(mostOpen), closing: make(chan struct{})}
}

// Close ends all connections. Call it once.
func (s *Server) Close() { close(s.closing) }

// Mount is the whole door at a glance. A scope is a realm, so there is one.
func (s *Server) Mount(root *web.Mux) {
	m := root.Door("opal", web.Problem)
	m.Handle("GET "+Path+"/ws", s.pubsub)
	m.Handle("GET "+Path+"/policy", s.policy)
	m.Handle("GET "+Path+"/data/config", s.config)
	m.Handle("GET "+Path+"/data/facts", s.facts)
	m.Handle("POST "+Path+"/data/callback_report", s.report)
	m.Handle("GET "+Path+"/scopes", s.scopes)
	m.Handle("GET "+Path+"/scopes/{scope}", s.scope(s.oneScope))
	m.Handle("GET "+Path+"/scopes/{scope}/policy", s.scope(s.policy))
	m.Handle("GET "+Path+"/scopes/{scope}/data", s.scope(s.config))
	m.Handle("POST "+Path+"/token", s.token)

	open := root.Door("opal", web.Problem, web.LeaseOff)
	open.Handle("GET "+Path+"/healthcheck", healthy)
	open.Handle("GET "+Path+"/loadlimit", healthy)
}

func healthy(w http.ResponseWriter, _ *http.Request) error {
	return web.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// admit finds out who calls, and holds each client to its rate.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (*realm.Realm, *opa.Caller, error) {
	return opa.Admit(w, r, s.o.Authenticate, s.o.Limiter)
}

func busy() error {
	return fault.New(fault.Unavailable, "too_many_open", "too many clients are connected to this node").WithRetry(10 * time.Second)
}

// inScope reports whether a scope is the realm.
func inScope(rl *realm.Realm, scope string) bool { return scope == rl.Name || scope == "default" }

func (s *Server) scope(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if rl := realm.From(r.Context()); rl != nil && !inScope(rl, r.PathValue("scope")) {
			if _, _, err := s.admit(w, r); err != nil {
				return err
			}
			return fault.New(fault.NotFound, "scope_unknown", "there is no such scope; a realm has one, of its own name")
		}
		return h(w, r)
	}
}

// entry is one source of data, as clients know it.
type entry struct {
	URL    string         `json:"url"`
	Config map[string]any `json:"config"`
	Topics []string       `json:"topics"`
	At     string         `json:"dst_path"`
	Method string         `json:"save_method"`
}

// entry says where the facts are. A client fetches them with what it showed here.
func (s *Server) entry(rl *realm.Realm, shown, topic string) entry {
	return entry{URL: rl.Issuer + Path + "/data/facts", Config: map[string]any{"headers": map[string]string{"Authorization": shown}},
		Topics: []string{topic}, At: "/" + agent.FactsAt, Method: "PUT"}
}

// config says where data is.
func (s *Server) config(w http.ResponseWriter, r *http.Request) error {
	rl, _, err := s.admit(w, r)
	if err != nil {
		return err
	}
	topic := topicData
	if scope := r.PathValue("scope"); scope != "" {
		topic = scope + ":data:" + topicData
	}
	return web.JSON(w, http.StatusOK, map[string]any{"entries": []entry{s.entry(rl, r.Header.Get("Authorization"), topic)}})
}

// facts are the documents of the realm.
func (s *Server) facts(w http.ResponseWriter, r *http.Request) error {
	rl, _, err := s.admit(w, r)
	if err != nil {
		return err
	}
	text, tag, err := s.o.Plane.Document(r.Context(), rl.Name)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+tag+`"`)
	web.Body(w, http.StatusOK, text)
	return nil
}

// policyModule is a file of Rego, and dataModule a document, as clients know them.
type policyModule struct {
	Path    string `json:"path"`
	Package string `json:"package_name"`
	Rego    string `json:"rego"`
}

type dataModule struct {
	Path string `json:"path"`
	Data string `json:"data"`
}

// policy is the whole policy bundle. A delta would save nothing: a client loads what
// it gets and drops the rest.
func (s *Server) policy(w http.ResponseWriter, r *http.Request) error {
	rl, c, err := s.admit(w, r)
	if err != nil {
		return err
	}
	q, err := web.Query(r, "path")
	if err != nil {
		return err
	}
	all, err := s.o.Plane.Modules(r.Context(), rl.Name, rl.Issuer, q.All("path"))
	if err != nil {
		return err
	}
	bundle := struct {
		Manifest []string       `json:"manifest"`
		Hash     string         `json:"hash"`
		Data     []dataModule   `json:"data_modules"`
		Policies []policyModule `json:"policy_modules"`
	}{[]string{}, all.Tag, []dataModule{}, []policyModule{}}
	for _, d := range all.Data {
		bundle.Manifest = append(bundle.Manifest, d.Path)
		bundle.Data = append(bundle.Data, dataModule{d.Path, string(d.Text)})
	}
	for _, m := range all.Rego {
		bundle.Manifest = append(bundle.Manifest, m.Path)
		bundle.Policies = append(bundle.Policies, policyModule{m.Path, m.Package, string(m.Text)})
	}
	s.o.Plane.Reported(rl.Name, c.Client, agent.Report{ID: web.ClientIP(r.Context()).String(), Kind: agent.KindOPAL,
		Bundles: []agent.BundleReport{{Name: "policy", Revision: all.Version}}})
	return web.JSON(w, http.StatusOK, bundle)
}

const maxReport = 1 << 20

// report takes what a client says of an update that it was told of.
func (s *Server) report(w http.ResponseWriter, r *http.Request) error {
	rl, c, err := s.admit(w, r)
	if err != nil {
		return err
	}
	text, err := web.ReadBody(w, r, "application/json", maxReport, nil)
	if err != nil {
		return err
	}
	var in struct {
		Update  string `json:"update_id"`
		Policy  string `json:"policy_hash"`
		Reports []struct {
			Fetched bool `json:"fetched"`
			Saved   bool `json:"saved"`
		} `json:"reports"`
	}
	if json.Unmarshal([]byte(text), &in) != nil {
		return fault.New(fault.Invalid, "report_invalid", "this is no report of a client of OPAL")
	}
	said := agent.Report{ID: web.ClientIP(r.Context()).String(), Kind: agent.KindOPAL}
	if in.Policy != "" {
		said.Bundles = append(said.Bundles, agent.BundleReport{Name: "policy", Revision: clip(in.Policy)})
	}
	for _, one := range in.Reports {
		b := agent.BundleReport{Name: "data", Revision: clip(agent.RevisionOf(in.Update))}
		switch {
		case !one.Fetched:
			b.Problem = "the data was not fetched"
		case !one.Saved:
			b.Problem = "the data was not saved"
		}
		if said.Bundles = append(said.Bundles, b); len(said.Bundles) == 16 {
			break
		}
	}
	s.o.Plane.Reported(rl.Name, c.Client, said)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func clip(s string) string { return agent.Said(s, 128) }

type scopeShown struct {
	ID string `json:"scope_id"`
}

func (s *Server) scopes(w http.ResponseWriter, r *http.Request) error {
	rl, _, err := s.admit(w, r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, []scopeShown{{rl.Name}})
}

func (s *Server) oneScope(w http.ResponseWriter, r *http.Request) error {
	rl, _, err := s.admit(w, r)
	if err != nil {
		return err
	}
	return web.JSON(w, http.StatusOK, scopeShown{rl.Name})
}

// token gives a token to whoever shows a client's secret in place of OPAL's master
// token. It lives as long as the client's tokens do, whatever is asked for.
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	rl, _, err := s.admit(w, r)
	if err != nil {
		return err
	}
	in := struct {
		ID     string         `json:"id"`
		Type   string         `json:"type"`
		Claims map[string]any `json:"claims"`
	}{Type: "client"}
	text, err := web.ReadBody(w, r, "application/json", 16<<10, nil)
	if err != nil {
		return err
	}
	if text != "" && json.Unmarshal([]byte(text), &in) != nil {
		return fault.New(fault.Invalid, "token_request_invalid", "this is no request for a token")
	}
	if in.Type != "client" || len(in.Claims) > 0 {
		return fault.New(fault.Invalid, "token_request_invalid", "only tokens of type client are given, and without claims of their own")
	}
	token, seconds, err := s.o.Mint(r, rl)
	if err != nil {
		return err
	}
	until := s.o.Now().Add(time.Duration(seconds) * time.Second).UTC().Format(time.RFC3339)
	answer := map[string]any{"token": token, "type": "bearer"}
	if in.ID != "" {
		answer["details"] = map[string]any{"id": in.ID, "type": in.Type, "expired": until, "claims": map[string]any{}}
	}
	w.Header().Set("Cache-Control", "no-store")
	return web.JSON(w, http.StatusOK, answer)
}
