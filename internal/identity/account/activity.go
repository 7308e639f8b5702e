package account

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/device"
	"github.com/cardea-id/cardea/internal/identity/risk"
)

// Bounds of one page: what it shows, and how many pieces of the log it reads for
// that. A page that found nothing in them still leads on.
const (
	perPage    = 20
	mostPieces = 5
)

// activityPage lists what happened to an account, the newest first.
type activityPage struct {
	frame
	Days []day
	Next string
}

// day is what happened on one day.
type day struct {
	Name   string
	Events []happening
}

// happening is an event in words.
type happening struct {
	Icon   string // in, out, key, app, person, warn
	Words  string
	Device string
	IP     string
	Place  string
	By     string // who did it, where it was not the owner
	At     moment
	Clock  string // the time of day, UTC
	Short  bool   // tell how long ago it was, not the time of day
	at     time.Time
	day    string
}

func (s *Server) activity(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := activityPage{frame: s.begin(w, r, v, "account.activity")}
	list, next, err := s.happenings(r, v, p.frame, r.URL.Query().Get("before"), perPage)
	if err != nil {
		return err
	}
	for _, h := range list {
		if len(p.Days) == 0 || p.Days[len(p.Days)-1].Name != h.day {
			p.Days = append(p.Days, day{Name: h.day})
		}
		last := &p.Days[len(p.Days)-1]
		last.Events = append(last.Events, h)
	}
	p.Next = next
	return s.look.Render(w, http.StatusOK, "activity", p)
}

// happenings is as many events as are wanted and, between them, what was tried
// in vain. before is the place in the log where a page ends, and its time.
func (s *Server) happenings(r *http.Request, v *visit, f frame, before string, want int) (list []happening, next string, err error) {
	leaf, until, ok := placeBefore(before)
	if !ok {
		return nil, "", fault.New(fault.Invalid, "page_invalid", "the page is not one that was given out")
	}
	if until.IsZero() {
		until = s.DB.Now().Add(time.Minute)
	}
	list, next, since, err := s.events(r, v, f, leaf, want)
	if err != nil {
		return nil, "", err
	}
	tried, err := s.Log.Refusals(r.Context(), v.realm.Name, v.Principal, since, until)
	if err != nil {
		return nil, "", err
	}
	for _, one := range tried {
		list = append(list, s.tellRefusal(f, one))
	}
	slices.SortStableFunc(list, func(a, b happening) int { return b.at.Compare(a.at) })
	if next != "" {
		next += "." + strconv.FormatInt(since.UnixMilli(), 10)
	}
	return list, next, nil
}

// placeBefore takes apart what happenings gave as the next page.
func placeBefore(before string) (leaf string, at time.Time, ok bool) {
	if before == "" {
		return "", time.Time{}, true
	}
	leaf, millis, _ := strings.Cut(before, ".")
	place, err := strconv.ParseUint(leaf, 10, 63)
	when, timeErr := strconv.ParseUint(millis, 10, 45)
	return strconv.FormatUint(place, 10), time.UnixMilli(int64(when)), err == nil && timeErr == nil
}

// events reads the log until it has as many as wanted, and tells since when that
// is all. What somebody did and what was done to them are two lists of it, which
// are read side by side.
func (s *Server) events(r *http.Request, v *visit, f frame, before string, want int) (list []happening, next string, since time.Time, err error) {
	for range mostPieces {
		var found []audit.Record
		if found, next, err = s.piece(r, v, before); err != nil {
			return nil, "", since, err
		}
		for _, e := range found {
			since = e.At
			h, ok := s.tell(r.Context(), f, v, e)
			if !ok {
				continue
			}
			if list = append(list, h); len(list) == want {
				return list, strconv.FormatInt(e.Leaf, 10), since, nil
			}
		}
		if before = next; next == "" {
			return list, "", time.Time{}, nil
		}
	}
	return list, next, since, nil
}

// piece is the next piece of what the log holds by or about the visitor, the
// newest first, and where the one after it begins.
func (s *Server) piece(r *http.Request, v *visit, before string) (all []audit.Record, next string, err error) {
	by := audit.Filter{Actor: v.Principal, Before: before}
	about := audit.Filter{Target: v.Principal, Before: before}
	first, nextBy, err := s.Log.Query(r.Context(), v.realm.Name, by)
	if err != nil {
		return nil, "", err
	}
	second, nextAbout, err := s.Log.Query(r.Context(), v.realm.Name, about)
	if err != nil {
		return nil, "", err
	}
	// What is older than the end of either list may be missing in it: it belongs
	// to the next piece.
	end := int64(-1)
	for _, token := range []string{nextBy, nextAbout} {
		if leaf, err := strconv.ParseInt(token, 10, 64); err == nil && leaf > end {
			end, next = leaf, token
		}
	}
	all = append(first, second...)
	all = slices.DeleteFunc(all, func(e audit.Record) bool { return e.Leaf < end })
	slices.SortFunc(all, func(a, b audit.Record) int { return int(b.Leaf - a.Leaf) })
	return slices.CompactFunc(all, func(a, b audit.Record) bool { return a.Leaf == b.Leaf }), next, nil
}

// icons are the pictures for what people are told, by action and, where it
// matters, type. What is not among them is not told here.
var icons = map[string]string{
	"session.begin": "in", "session.renew": "in", "session.end": "out", "session.end_all": "out",
	"credential.create": "key", "credential.change": "key", "credential.revoke": "key", "credential.compromise": "warn", "credential.recovery_use": "warn",
	"consent.give": "app", "consent.revoke": "app", "grant.revoke": "app",
	"incident.open": "warn", "incident.continue": "warn", "risk.signal": "warn",
	"principal.create": "person", "principal.update": "person", "principal.suspend": "warn", "principal.activate": "person", "principal.password_link": "key",
	"principal.email.add": "mail", "principal.email.verify": "mail", "principal.email.primary": "mail", "principal.email.remove": "mail",
	"principal.email.change": "mail", "principal.email.restore": "mail", "principal.leave": "warn", "principal.stay": "person", "terms.accept": "person",
}

// tell puts an event into words, if there are any for people.
func (s *Server) tell(ctx context.Context, f frame, v *visit, e audit.Record) (happening, bool) {
	icon, ok := icons[e.Action]
	key := "event." + e.Action
	if strings.HasPrefix(e.Action, "credential.") {
		key += "." + e.TargetType
	}
	if e.Action == "risk.signal" {
		return s.tellFinding(f, v, e)
	}
	why, _ := e.Data["reason"].(string)
	switch e.Action {
	case "session.end":
		ok = why != "password_change" // the browser stayed signed in: no end that anybody saw
	case "incident.open", "incident.continue":
		ok, key = why == risk.NotMine().Reason, "event.incident.open" // what a detector found is told as a finding
	}
	if !ok || !f.Has(key) || !concerns(v.Principal, e) {
		return happening{}, false
	}
	about := ""
	if client, _ := e.Data["client"].(string); client != "" {
		about = s.appName(ctx, v, client)
	}
	h := s.happened(f, icon, f.T(key, "app", about), e.At, e.Actor.IP, e.Actor.UserAgent)
	if e.Actor.ID != v.Principal && e.Actor.Kind != "anonymous" { // who may have been they, or somebody who would like to be
		// Who it was is for the operators to say, and so is where they are.
		h.By, h.Device, h.IP, h.Place = f.T("event.by.operator"), "", "", ""
		if e.Actor.Kind == "system" {
			h.By = f.T("event.by.system")
		}
	}
	return h, true
}

// tellFinding puts into words what looked wrong, where its owner was written to
// about it too. What is about a network is not about who set it off.
func (s *Server) tellFinding(f frame, v *visit, e audit.Record) (happening, bool) {
	detector, _ := e.Data["detector"].(string)
	reason, _ := e.Data["reason"].(string)
	if e.Target != v.Principal || !risk.Tells(detector) || !strings.HasPrefix(reason, "risk.") || !f.Has(reason) {
		return happening{}, false
	}
	done, _ := e.Data["action"].(string)
	if detector == risk.NewDevice && done != risk.Lock.String() && done != risk.Revoke.String() {
		return happening{}, false // the sign-in itself says so, where it was not refused
	}
	var args []any
	known, _ := e.Data["args"].(map[string]any)
	for name, v := range known {
		text, _ := v.(string)
		if name == "country" || name == "from" || name == "to" {
			text = f.Country(text)
		}
		args = append(args, name, text)
	}
	return s.happened(f, icons[e.Action], f.T(reason, args...), e.At, e.Actor.IP, e.Actor.UserAgent), true
}

// tellRefusal puts into words what was tried in vain.
func (s *Server) tellRefusal(f frame, one audit.Refusal) happening {
	key := "event.refused." + one.Factor
	if !f.Has(key) {
		key = "event.refused"
	}
	h := s.happened(f, "warn", f.T(key, "n", int(one.Count)), one.Last, one.IP, one.UserAgent)
	if from := one.First.UTC().Format("15:04"); from != h.Clock {
		h.Clock = from + "–" + h.Clock
	}
	if one.Factor == "" {
		h.By = f.T("event.refused.rest")
	}
	return h
}

// happened is something that happened, from where and with which device.
func (s *Server) happened(f frame, icon, what string, at time.Time, ip, agent string) happening {
	h := happening{Icon: icon, Words: what, IP: ip, Place: s.place(f, ip), At: s.moment(f.Page, at),
		Clock: at.UTC().Format("15:04"), at: at, day: at.UTC().Format(f.T("date.day"))}
	if agent != "" {
		h.Device = device.Of(agent).Words(f.T)
	}
	return h
}

// concerns reports whether an event is about the principal itself: an operator
// also changes others.
func concerns(principal string, e audit.Record) bool {
	whose, _ := e.Data["principal"].(string)
	return e.Target == principal || whose == principal || e.Action == "terms.accept" && e.Actor.ID == principal
}
