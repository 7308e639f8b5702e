package authzen

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/realm"
)

// append writes a decision as AuthZEN 1.0, section 5.5 has it. What its context
// tells the caller is the realm's setting: nothing but the decision's id and
// revision, the reasons, or also the way through the relations.
func (d *decision) append(b []byte, q *request) []byte {
	b = strconv.AppendBool(append(b, `{"decision":`...), d.answer.Allowed)
	b = append(b, `,"context":{`...)
	start := len(b)
	if d.id != "" {
		b = member(b, start, "id", d.id)
	}
	what, usual := d.rests(q)
	if t := &q.told; usual && t.from > 0 && t.what == what {
		return append(b, b[t.from:t.to]...)
	}
	from := len(b)
	b = d.appendRest(b, start, q)
	if usual {
		q.told = told{what, from, len(b)}
	}
	return b
}

// rest is what the answer behind its id follows from, for most: a yes or a no of the
// same policies.
type rest struct {
	reasons     *policy.Reason
	determining *string
	said, by    int
}

// told is where in a batch an answer is written with such a rest.
type told struct {
	what     rest
	from, to int
}

func (d *decision) rests(q *request) (r rest, usual bool) {
	a := &d.answer
	if d.id == "" || d.problem != "" || d.stale || d.elsewhere != "" || a.StepUp != nil || q.apart || len(a.Path) > 0 && q.realm.Settings.DecisionDetail == realm.DetailFull {
		return r, false
	}
	return rest{first(a.Reasons), first(a.Determining), len(a.Reasons), len(a.Determining)}, true
}

// first is where a slice begins, nil if it is empty.
func first[T any](all []T) *T {
	if len(all) == 0 {
		return nil
	}
	return &all[0]
}

// appendRest writes what follows the id.
func (d *decision) appendRest(b []byte, start int, q *request) []byte {
	detail := q.realm.Settings.DecisionDetail
	switch {
	case d.elsewhere != "":
		b = member(b, start, "revision", d.elsewhere)
	case q.snapshot != nil:
		b = member(b, start, "revision", q.revision)
	}
	if d.stale {
		b = append(name(b, start, "stale"), "true"...)
	}
	if d.problem != "" && (d.status != 0 || detail != realm.DetailNone) {
		b = name(b, start, "error")
		b = append(b, '{')
		inner := len(b)
		if d.status != 0 {
			b = strconv.AppendInt(name(b, inner, "status"), int64(d.status), 10)
		}
		b = append(member(b, inner, "message", d.problem), '}')
	}
	if s := d.answer.StepUp; s != nil && !d.answer.Allowed {
		b = appendStepUp(name(b, start, "step_up"), s)
	}
	if detail != realm.DetailNone {
		b = appendReasons(b, start, &d.answer)
	}
	if detail == realm.DetailFull && len(d.answer.Path) > 0 {
		b = appendPath(name(b, start, "path"), d.answer.Path)
	}
	return append(b, "}}"...)
}

// appendStepUp writes what sign-in would permit, in the words of RFC 9470.
func appendStepUp(b []byte, s *policy.StepUp) []byte {
	b = append(b, '{')
	start := len(b)
	if s.ACR != "" {
		b = member(b, start, "acr_values", s.ACR)
	}
	if s.MaxAge > 0 {
		b = strconv.AppendInt(name(b, start, "max_age"), int64(s.MaxAge/time.Second), 10)
	}
	return append(b, '}')
}

func appendReasons(b []byte, start int, a *policy.Answer) []byte {
	if len(a.Reasons) > 0 {
		b = append(name(b, start, "reasons"), '[')
		for i, r := range a.Reasons {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '{')
			inner := len(b)
			for _, m := range [...]struct{ name, text string }{{"policy", r.Policy}, {"text", r.Text}, {"error", r.Error}} {
				if m.text != "" {
					b = member(b, inner, m.name, m.text)
				}
			}
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	if len(a.Determining) > 0 {
		b = append(name(b, start, "policies"), '[')
		for i, id := range a.Determining {
			if i > 0 {
				b = append(b, ',')
			}
			b = quote(b, id)
		}
		b = append(b, ']')
	}
	return b
}

func appendPath(b []byte, path []policy.Step) []byte {
	b = append(b, '[')
	for i, t := range path {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"subject":`...)
		b = appendEntity(b, t.Subject)
		b = quote(append(b, `,"relation":`...), t.Relation)
		b = append(appendEntity(append(b, `,"object":`...), t.Object), '}')
	}
	return append(b, ']')
}

func appendEntity(b []byte, e policy.Entity) []byte {
	b = quote(append(b, `{"type":`...), e.Type)
	return append(quote(append(b, `,"id":`...), e.ID), '}')
}

// member writes a member with a text, after a comma if it is not the first
// behind start.
func member(b []byte, start int, key, text string) []byte { return quote(name(b, start, key), text) }

func name(b []byte, start int, key string) []byte {
	if len(b) > start {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), key...), `":`...)
}

// unquoted are the bytes that stand for themselves in a JSON string, as encoding/json
// writes it.
var unquoted = func() (set [256]bool) {
	for x := byte(0x20); x < 0x7f; x++ {
		set[x] = x != '"' && x != '\\' && x != '<' && x != '>' && x != '&'
	}
	return set
}()

// quote writes a JSON string.
func quote(b []byte, s string) []byte {
	for i := range len(s) {
		if !unquoted[s[i]] {
			text, _ := json.Marshal(s) // strings always have an encoding
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
