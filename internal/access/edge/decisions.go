package edge

import (
	"encoding/json"
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
// room for at the edge since it was last asked.
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
	text, err := web.ReadBody(w, r, "application/x-ndjson", MaxUpload)
	if err != nil {
		return err
	}
	now := s.o.Now()
	var all []*replica.Decision
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	for dec.More() {
		d := &replica.Decision{}
		if err := dec.Decode(d); err != nil {
			return fault.New(fault.Invalid, "decision_invalid", "decision %d is not one that an edge writes", len(all)+1)
		}
		if d.At.After(now.Add(time.Minute)) || d.At.Before(now.Add(-oldest)) || !id.Valid(journal.Prefix, d.ID) {
			return fault.New(fault.Invalid, "decision_invalid", "decision %d has no id such as dec_…, or is not of the last 30 days", len(all)+1)
		}
		all = append(all, d)
	}
	if len(all) > 0 && !s.o.Note(rl, who.Client, all, int64(lost)) {
		return fault.New(fault.Unavailable, "decisions_busy", "there is no room for decisions just now").WithRetry(5 * time.Second)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
