package api

import (
	"context"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// The gate that every operation passes: the table of roles permits, and no policy
// of the realm forbids. The table is asked first and by itself, so that whatever
// became of the policies, nobody may more than it says.

// about says what an operation is about in the words of policies: the types that
// its resource can have, and the parameter of the path that names it. One without a
// parameter is about the realm.
func (o Operation) about() (types []string, param string) {
	before, rest, found := strings.Cut(o.Path, "{")
	if !found {
		return []string{builtin.Namespace + "::Realm"}, ""
	}
	param, _, _ = strings.Cut(rest, "}")
	parts := strings.Split(strings.Trim(before, "/"), "/")
	return resourceTypes(parts[len(parts)-1], strings.Trim(before, "/")), param
}

func resourceTypes(last, path string) []string {
	switch path {
	case "users":
		return []string{"user"}
	case "groups":
		return []string{"group"}
	case "organizations":
		return []string{"organization"}
	case "services":
		return []string{"service"}
	case "operators":
		return []string{"agent", "service", "user", "workload"}
	case "access/imports":
		last = "fact-import"
	case "access/sources":
		last = "fact-source"
	case "access/policy/versions":
		last = "policy-version"
	}
	var b strings.Builder
	for word := range strings.SplitSeq(strings.TrimSuffix(last, "s"), "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return []string{builtin.Namespace + "::" + b.String()}
}

var pathParams = regexp.MustCompile(`\{([^}]+)\}`)

// part is the second parameter of the path, "" if there is none.
func (o Operation) part() string {
	if all := pathParams.FindAllStringSubmatch(o.Path, 2); len(all) == 2 {
		return all[1][1]
	}
	return ""
}

// groups are the names under which policies speak of an operation and others.
func (o Operation) groups() []string {
	all := []string{string(o.Permission), "changes"}
	if o.Method == http.MethodGet {
		all[1] = "reads"
	}
	if o.Dangerous() {
		all = append(all, "dangerous")
	}
	if o.Realms {
		all = append(all, "other-realms")
	}
	return all
}

// gate asks whether a caller may do an operation. It is made once for each.
type gate struct {
	Operation
	types []string
	param string
	inner string
}

func newGate(o Operation) *gate {
	g := &gate{Operation: o, inner: o.part()}
	g.types, g.param = o.about()
	return g
}

// question puts a request in the words of policies.
func (s *Server) question(r *http.Request, c *Caller, g *gate) *policy.Question {
	q := &policy.Question{Subject: entityOf(c.By.ID), Action: g.ID, At: s.Now(), Resource: policy.Entity{Type: g.types[0], ID: c.Realm.Name},
		Context: policy.Properties{"realm": c.Realm.Name, "role": string(c.Role)}}
	if g.param != "" {
		if q.Resource.ID = r.PathValue(g.param); len(g.types) > 1 {
			q.Resource.Type = entityOf(q.Resource.ID).Type
		}
	}
	put := func(name, value string) {
		if value != "" {
			q.Context[name] = value
		}
	}
	put("client", c.By.Client)
	put("acr", c.acr)
	if ip, err := netip.ParseAddr(c.By.IP); err == nil {
		q.Context["ip"] = ip.Unmap().WithZone("").String()
	}
	if len(c.amr) > 0 {
		q.Context["amr"] = c.amr
	}
	if !c.authTime.IsZero() {
		q.Context["auth_time"] = c.authTime
	}
	if g.inner != "" {
		put("part", r.PathValue(g.inner))
	}
	return q
}

func entityOf(principalID string) policy.Entity {
	kind := kindOf(principalID)
	if kind == "person" {
		kind = "user"
	}
	return policy.Entity{Type: kind, ID: principalID}
}

// canonical gives somebody who is addressed by name the id that policies know.
func (s *Server) canonical(ctx context.Context, c *Caller, q *policy.Question) error {
	if q.Resource.Type != "user" || q.Resource.ID == "" || principal.ValidID(q.Resource.ID) {
		return nil
	}
	found, err := s.People.ByIdentifier(ctx, c.Realm.Name, q.Resource.ID)
	if err == nil {
		q.Resource.ID = found.ID
	} else if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		err = nil
	}
	return err
}

// authorize checks what the caller may do, and how often. Whatever cannot be judged
// is refused.
func (s *Server) authorize(r *http.Request, c *Caller, g *gate) error {
	if s.Limiter != nil {
		if wait, ok := s.Limiter.Allow(string(g.Class), web.Names{c.Realm.Name, c.By.ID}); !ok {
			return tooMany(wait)
		}
	}
	q := s.question(r, c, g)
	switch {
	case !c.Role.May(g.Permission):
		why := "your role " + string(c.Role) + " does not permit " + string(g.Permission)
		id := s.noteAdmin(r.Context(), c, q, &policy.Answer{Reasons: []policy.Reason{{Text: why}}})
		return fault.New(fault.Forbidden, "not_permitted", "%s%s", why, said(id))
	case g.Realms && c.Realm.Name != realm.Default:
		why := "only operators of the default realm manage realms"
		id := s.noteAdmin(r.Context(), c, q, &policy.Answer{Reasons: []policy.Reason{{Text: why}}})
		return fault.New(fault.Forbidden, "not_permitted", "%s%s", why, said(id))
	}
	if adds, err := s.Guard.Adds(r.Context(), c.Realm.Name); err != nil {
		return err
	} else if adds {
		if err := s.canonical(r.Context(), c, q); err != nil {
			return err
		}
	}
	a, err := s.Guard.Judge(r.Context(), c.Realm.Name, c.minted, q)
	if err != nil {
		return err
	}
	if a.Allowed {
		if s.samples.worth(c, g, &a, q.At) {
			s.noteAdmin(r.Context(), c, q, &a)
		}
		return nil
	}
	return s.forbidden(r, c, &a, s.noteAdmin(r.Context(), c, q, &a))
}

// said points to the decision, where it is kept.
func said(decision string) string {
	if decision == "" {
		return ""
	}
	return " (cardea why " + decision + ")"
}

// forbidden tells a refused operator which policy it was and what to do.
func (s *Server) forbidden(r *http.Request, c *Caller, a *policy.Answer, decision string) error {
	why := ""
	for _, reason := range a.Reasons {
		if why != "" {
			why += "; "
		}
		if reason.Policy != "" {
			why += "the policy " + strconv.Quote(reason.Policy) + " forbids this"
			if reason.Text != "" {
				why += ": "
			}
		}
		why += reason.Text
	}
	if up := a.StepUp; up != nil && c.By.Kind == "person" { // RFC 9470, section 3
		more, within := []string{"acr_values", up.ACR}, ""
		if up.MaxAge > 0 {
			more = append(more, "max_age", strconv.Itoa(int(up.MaxAge.Seconds())))
			within = " within the last " + up.MaxAge.String()
		}
		f := fault.New(fault.Unauthenticated, "insufficient_user_authentication", "%s; a sign-in of the level %s%s would be enough%s", why, up.ACR, within, said(decision))
		return &challenge{fault: f, code: f.Code, dpop: strings.HasPrefix(r.Header.Get("Authorization"), "DPoP"), more: more,
			plain: "a policy takes a sign-in of the level " + up.ACR + within + "; sign in again"}
	}
	return fault.New(fault.Forbidden, "forbidden_by_policy", "%s%s", why, said(decision))
}

// noteAdmin writes down a decision about an operation, and gives its id, "" where
// the realm keeps none.
func (s *Server) noteAdmin(ctx context.Context, c *Caller, q *policy.Question, a *policy.Answer) string {
	if c.Realm.Settings.DecisionLog <= 0 || s.Note == nil {
		return ""
	}
	e := &journal.Entry{ID: id.New(journal.Prefix, q.At), At: q.At, Kind: journal.Administration, Question: *q, Answer: *a, Revision: s.Log.Applied().String(),
		Client: c.By.Client, Principal: c.By.ID, CallerToken: c.token, Request: web.RequestID(ctx), Token: c.token, Grant: c.grant, Application: c.By.Client}
	s.Note(c.Realm, e)
	return e.ID
}

// samples remembers what was written down lately. All that is refused is written
// down, and every change by a person; of the rest, the first of its kind in an hour,
// so that a plan knows who does what.
type samples struct {
	mu    sync.Mutex
	hour  time.Time
	known map[sample]struct{}
}

type sample struct{ realm, who, operation string }

// mostSamples bounds what is remembered; beyond it more is written down.
const mostSamples = 20_000

func (s *samples) worth(c *Caller, g *gate, a *policy.Answer, now time.Time) bool {
	if g.Method != http.MethodGet && c.By.Kind == "person" || len(a.Reasons) > 1 {
		return true
	}
	key := sample{c.Realm.Name, c.By.ID, g.ID}
	s.mu.Lock()
	defer s.mu.Unlock()
	if hour := now.Truncate(time.Hour); !hour.Equal(s.hour) || len(s.known) >= mostSamples {
		s.hour, s.known = hour, map[sample]struct{}{}
	}
	if _, known := s.known[key]; known {
		return false
	}
	s.known[key] = struct{}{}
	return true
}
