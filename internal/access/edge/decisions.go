package edge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// MaxUpload is how many bytes of decisions an edge hands in at once.
const MaxUpload = 1 << 20

// oldest is how late an edge that was cut off may hand in a decision.
const oldest = 30 * 24 * time.Hour

// decisions takes what an edge decided, a JSON object a line. It is in order
// whatever the realm keeps: an edge need not know. What there is no room for now
// is a 503, and the edge keeps it and tries again. lost is how many there was no
// room for at the edge since it was last asked. Those that are refused do not hold
// up the others: they count as lost, and the edge is told.
func (s *Server) decisions(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	if rl == nil {
		return fault.New(fault.NotFound, "not_found", "there is nothing at this address")
	}
	who, err := s.o.AuthorizeUpload(w, r)
	if err != nil {
		return err
	}
	web.Note(r.Context(), "client", who.Client)
	q, err := web.Query(r)
	if err != nil {
		return err
	}
	lost := uint64(0)
	if text := q.Get("lost"); text != "" {
		if lost, err = strconv.ParseUint(text, 10, 31); err != nil {
			return fault.New(fault.Invalid, "invalid_request", "lost must be a number of decisions").WithField("lost", "must be a number")
		}
	}
	text, err := web.ReadBody(w, r, "application/x-ndjson", MaxUpload, nil)
	if err != nil {
		return err
	}
	now := s.o.Now()
	var all []*replica.Decision
	refused, why := 0, ""
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		d, problem := readDecision(line, now)
		if problem == "" {
			all = append(all, d)
			continue
		}
		if refused++; why == "" {
			why = fmt.Sprintf("decision %d %s", len(all)+refused, problem)
		}
	}
	if len(all) == 0 && refused > 0 {
		return fault.New(fault.Invalid, "decision_invalid", "%s; there is none that can be taken", why)
	}
	if len(all) > 0 && !s.o.Note(rl, who.Client, all, int64(lost)+int64(refused)) {
		return fault.New(fault.Unavailable, "decisions_busy", "there is no room for decisions just now").WithRetry(5 * time.Second)
	}
	if refused == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	s.o.Logger.Warn("decisions of an edge were refused", "realm", rl.Name, "client", who.Client, "taken", len(all), "refused", refused, "why", why)
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(replica.HandedIn{Taken: len(all), Refused: refused, Why: why})
}

// readDecision reads one line, or says what is wrong with it.
func readDecision(line string, now time.Time) (d *replica.Decision, problem string) {
	d = &replica.Decision{}
	dec := json.NewDecoder(strings.NewReader(line))
	dec.UseNumber()
	if dec.Decode(d) != nil || dec.More() {
		return nil, "is not one that an edge writes"
	}
	if d.At.After(now.Add(time.Minute)) || d.At.Before(now.Add(-oldest)) || !id.Valid(journal.Prefix, d.ID) {
		return nil, "has no id such as dec_…, or is not of the last 30 days"
	}
	// What these name is shown with the decision.
	if d.Grant != "" && !id.Valid("gnt", d.Grant) || d.Session != "" && !id.Valid("ses", d.Session) {
		return nil, "names something else than a grant and a session"
	}
	return d, ""
}
