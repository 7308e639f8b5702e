package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"time"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// Bounds of a decision log that is handed over at once.
const (
	MaxLogPacked = 4 << 20  // bytes as they arrive
	maxLog       = 64 << 20 // and unpacked, and as they are held until they are written
	maxDecisions = 20_000
	maxDecision  = 64 << 10 // bytes of one; what is larger is noted without its input
	oldest       = 7 * 24 * time.Hour
)

// decided is one decision of an OPA. It may be as long as a log, so that nothing in
// it takes more than its text.
type decided struct {
	ID      string                              `json:"decision_id"`
	Labels  map[known]string                    `json:"labels"`
	Path    string                              `json:"path"`
	Query   string                              `json:"query"`
	Input   start                               `json:"input"`
	Result  permits                             `json:"result"`
	Error   start                               `json:"error"`
	At      time.Time                           `json:"timestamp"`
	Erased  filled                              `json:"erased"`
	Masked  filled                              `json:"masked"`
	Bundles map[known]struct{ Revision string } `json:"bundles"`

	size int
}

func (d *decided) UnmarshalJSON(text []byte) error {
	type plain decided
	d.size = len(text)
	return json.Unmarshal(text, (*plain)(d))
}

// filled reports whether a list has anything.
type filled bool

func (f *filled) UnmarshalJSON(text []byte) error {
	*f = false
	return each(text, '[', func(*json.Decoder) (bool, error) {
		*f = true
		return false, nil
	})
}

// permits is what a result says: true, or an object that says so.
type permits bool

func (p *permits) UnmarshalJSON(text []byte) error {
	*p = string(text) == "true"
	if text[0] != '{' {
		return nil
	}
	var m map[known]start
	err := json.Unmarshal(text, &m)
	for _, name := range []known{"allow", "allowed", "decision"} {
		*p = *p || string(m[name]) == "true"
	}
	return err
}

// Decided takes the decision log that an agent of a client hands over, unpacked,
// and notes its decisions with ours: all of them, or none. masks are names of values that are not
// written down. It says how many there were.
func (p *Plane) Decided(realm, masks, client string, log io.Reader) (int, error) {
	all, err := readLog(log, p.o.DB.Now(), client)
	if err != nil {
		return 0, err
	}
	for _, e := range all {
		p.o.Journal.Note(realm, masks, e)
	}
	return len(all), nil
}

// readLog reads a decision log as what is noted of it.
func readLog(log io.Reader, now time.Time, client string) (all []*journal.Entry, err error) {
	bad := fault.New(fault.Invalid, "decision_log_invalid", "this is no decision log of OPA")
	limited, held := &io.LimitedReader{R: log, N: maxLog}, 0
	dec := json.NewDecoder(limited)
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, bad
	}
	for dec.More() {
		var d decided
		if err := dec.Decode(&d); err != nil {
			if limited.N <= 0 {
				return nil, tooLong()
			}
			return nil, bad
		}
		if len(all) == maxDecisions {
			return nil, tooLong()
		}
		e := d.entry(now, client)
		if held += journal.Weight(&e.Question, &e.Answer); held > maxLog {
			return nil, tooLong()
		}
		all = append(all, e)
	}
	if _, err := dec.Token(); err != nil {
		return nil, bad
	}
	return all, nil
}

func tooLong() error {
	return fault.New(fault.TooLarge, "decision_log_too_large", "a decision log has at most %d decisions and %d MiB; set decision_logs.reporting.upload_size_limit_bytes", maxDecisions, maxLog>>20)
}

// entry is the decision as our own are noted. A question in the shape of AuthZEN
// tells who, what and on what; of any other the input is context.
func (d *decided) entry(now time.Time, client string) *journal.Entry {
	at := d.At
	if at.Before(now.Add(-oldest)) || at.After(now.Add(time.Minute)) {
		at = now
	}
	at = at.UTC()
	e := &journal.Entry{ID: id.New(journal.Prefix, at), At: at, Kind: journal.Agent, Client: client, Request: said(d.ID, 256),
		Masked: bool(d.Erased) || bool(d.Masked) || d.size > maxDecision}
	q := &e.Question
	q.At = at
	q.Action = said(firstOf(d.Path, d.Query), 1024)
	q.Context = policy.Properties{"agent": said(d.Labels["id"], 256), "path": q.Action}
	if d.size <= maxDecision {
		d.question(q)
	}
	e.Answer.Allowed = bool(d.Result)
	e.Answer.Determining = []string{q.Context["path"].(string)}
	if len(d.Error) > 0 && string(d.Error) != "null" {
		e.Answer.Reasons = []policy.Reason{{Text: "the agent could not decide", Error: said(string(d.Error), maxSaid)}}
	}
	if b, ok := d.Bundles[BundleFacts]; ok {
		if at, err := audit.ParsePosition(b.Revision); err == nil {
			e.Revision, e.Answer.Revision = at.String(), at.Revision()
		}
	}
	if b, ok := d.Bundles[BundlePolicy]; ok {
		q.Context["policy_version"] = said(b.Revision, 64)
	}
	return e
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// question reads the input.
func (d *decided) question(q *policy.Question) {
	var in any
	dec := json.NewDecoder(bytes.NewReader(d.Input))
	dec.UseNumber()
	if dec.Decode(&in) != nil || in == nil {
		return
	}
	all, ok := in.(map[string]any)
	if !ok {
		q.Context["input"] = in
		return
	}
	rest := map[string]any{}
	for name, v := range all {
		part, _ := v.(map[string]any)
		taken := false
		switch name {
		case "subject":
			q.Subject, q.SubjectProperties, taken = entityOf(part)
		case "resource":
			q.Resource, q.ResourceProperties, taken = entityOf(part)
		case "action":
			if text, is := part["name"].(string); is {
				q.Action, taken = said(text, 1024), true
				q.ActionProperties, _ = part["properties"].(map[string]any)
			} else if text, is := v.(string); is {
				q.Action, taken = said(text, 1024), true
			}
		case "context":
			if part != nil {
				taken = true
				for n, v := range part {
					if _, ours := q.Context[n]; !ours {
						q.Context[n] = v
					}
				}
			}
		}
		if !taken {
			rest[name] = v
		}
	}
	if len(rest) > 0 {
		q.Context["input"] = rest
	}
}

// entityOf reads an entity, if it is nothing but one with properties.
func entityOf(m map[string]any) (e policy.Entity, p policy.Properties, ok bool) {
	typ, is1 := m["type"].(string)
	name, is2 := m["id"].(string)
	if !is1 || !is2 || len(typ) > 1024 || len(name) > 1024 {
		return e, nil, false
	}
	p = policy.Properties{}
	if some, is := m["properties"].(map[string]any); is {
		maps.Copy(p, some)
	}
	for n, v := range m {
		if n != "type" && n != "id" && n != "properties" {
			p[n] = v
		}
	}
	return policy.Entity{Type: typ, ID: name}, p, true
}
