package builtin

import (
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// Operations with which policies can be changed again. Whoever may do one of them
// in some way can take back what locks everybody out.
const (
	apply    = "apply-policy"
	rollback = "rollback-policy"
)

// Owner is the role that holds everything.
const Owner = "owner"

// mostTries bounds a search for a way. It is exhausted only where there is none,
// or where the policies name very much.
const mostTries = 20_000

// Ways are the circumstances in which somebody may be tried: usual ones, and
// whatever policies name, since what they ask for is what they name.
type Ways struct {
	acrs, clients []string
	ips           []string
	realms        []string
	times         []time.Time
	subjects      []policy.Entity
	inside        []policy.Entity // groups and organizations
	amr           []string
}

var (
	entityText = regexp.MustCompile(`\b(user|service|workload|agent|group|organization)::"([^"\\]{1,100})"`)
	plainText  = regexp.MustCompile(`"([^"\\\n]{1,60})"`)
	aboutTime  = regexp.MustCompile(`\bnow\b`)
)

// mostNamed bounds each kind of what policies name.
const mostNamed = 12

// WaysOf reads the circumstances that a realm's policies name.
func WaysOf(own []policy.File) *Ways {
	w := &Ways{acrs: []string{"aal2", "aal3", "aal1", ""}, clients: []string{"cardea-cli"}, ips: []string{"192.0.2.1", "2001:db8::1"}, realms: []string{"default"},
		amr: []string{"pwd", "otp", "hwk", "mfa"}, subjects: []policy.Entity{{Type: "user", ID: "usr_anybody"}, {Type: "service", ID: "svc_anybody"}}}
	start := time.Date(2026, 1, 5, 10, 30, 0, 0, time.UTC) // a Monday
	w.times = []time.Time{start}
	week := false
	add := func(list *[]string, s string) {
		if len(*list) < mostNamed && !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	for _, f := range own {
		text := string(f.Text)
		week = week || aboutTime.MatchString(text)
		for _, m := range entityText.FindAllStringSubmatch(text, -1) {
			e, list := policy.Entity{Type: m[1], ID: m[2]}, &w.subjects
			if e.Type == "group" || e.Type == "organization" {
				list = &w.inside
			}
			if len(*list) < mostNamed && !slices.Contains(*list, e) {
				*list = append(*list, e)
			}
		}
		for _, m := range plainText.FindAllStringSubmatch(text, -1) {
			s := m[1]
			if p, err := netip.ParsePrefix(s); err == nil {
				add(&w.ips, p.Masked().Addr().String())
			} else if a, err := netip.ParseAddr(s); err == nil {
				add(&w.ips, a.String())
			} else if t, ok := moment(s); ok {
				w.times = append(w.times, t.Add(-time.Hour), t.Add(time.Hour))
			} else {
				add(&w.acrs, s)
				add(&w.clients, s)
				add(&w.realms, s)
				w.amr = append(w.amr, s)
			}
		}
	}
	if week {
		for h := 1; h < 7*24; h++ {
			w.times = append(w.times, start.Add(time.Duration(h)*time.Hour))
		}
	}
	return w
}

func moment(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Anybody reports whether an owner of some name, inside some of what the policies
// name, may change the policies in some circumstances. It is right when it says
// yes. A no means that none was found in which it could be.
func (w *Ways) Anybody(set *policy.Set) bool {
	tries := mostTries
	for _, among := range [][]policy.Entity{nil, w.inside} {
		g := graph.Empty()
		for _, s := range w.subjects {
			for _, in := range among {
				next, err := g.Apply(graph.Change{Add: []graph.Tuple{{Subject: s, Relation: graph.Member, Object: in}}})
				if err == nil {
					g = next
				}
			}
		}
		snap := policy.NewSnapshot(set, g, 0)
		for _, s := range w.subjects {
			if w.reach(snap, s, Owner, &tries) {
				return true
			}
		}
		if w.inside == nil {
			break
		}
	}
	return false
}

// Somebody is Anybody for one operator, with what is known of them.
func (w *Ways) Somebody(snap *policy.Snapshot, who policy.Entity, role string) bool {
	tries := mostTries
	return w.reach(snap, who, role, &tries)
}

func (w *Ways) reach(snap *policy.Snapshot, who policy.Entity, role string, tries *int) bool {
	acrs := w.acrs
	if who.Type != "user" {
		acrs = []string{""} // nobody signs in for a program
	}
	for _, at := range w.times {
		for _, ip := range w.ips {
			for _, acr := range acrs {
				for _, client := range w.clients {
					for _, realm := range w.realms {
						if *tries--; *tries < 0 {
							return false
						}
						if w.may(snap, who, role, realm, client, ip, acr, at) {
							return true
						}
					}
				}
			}
		}
	}
	return false
}

func (w *Ways) may(snap *policy.Snapshot, who policy.Entity, role, realm, client, ip, acr string, at time.Time) bool {
	q := policy.Question{Subject: who, Action: apply, Resource: policy.Entity{Type: Namespace + "::Realm", ID: realm}, At: at,
		Context: policy.Properties{"role": role, "realm": realm, "client": client, "ip": ip}}
	if acr != "" {
		q.Context["acr"], q.Context["amr"], q.Context["auth_time"] = acr, w.amr, at
	}
	if a := policy.Decide(snap, &q); a.Allowed {
		return true
	}
	q.Action, q.Resource = rollback, policy.Entity{Type: Namespace + "::PolicyVersion", ID: "1"}
	a := policy.Decide(snap, &q)
	return a.Allowed
}
