package edge

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// still is a log in which nothing happens.
type still struct{}

func (still) Follow(string, func(audit.Record), func()) {}
func (still) Live() error                               { return nil }
func (still) Applied() audit.Position                   { return audit.Position{} }
func (still) Replay(context.Context, string, audit.Position, func(audit.Record) error) (audit.Position, error) {
	return audit.Position{}, nil
}

// Decisions that there is no room for are an edge's to keep, and it is told for how
// long; how many it could not keep is written down with those that it could.
func TestDecisionsAreHandedIn(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	full, noted, lost := false, 0, int64(0)
	s := New(Options{Log: still{}, Now: func() time.Time { return now },
		AuthorizeUpload: func(http.ResponseWriter, *http.Request) (*Caller, error) { return &Caller{Client: "edge"}, nil },
		Note: func(_ *realm.Realm, _ string, all []*replica.Decision, missing int64) bool {
			if !full {
				noted, lost = noted+len(all), lost+missing
			}
			return !full
		}})
	m := web.NewMux(web.MuxOptions{})
	s.Routes(m.Door("edge", Fail))
	send := func(query, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", Path+"/decisions"+query, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-ndjson")
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r.WithContext(realm.With(r.Context(), &realm.Realm{Name: "r", Issuer: "https://r.example"})))
		return w
	}
	post := func(query string, at time.Time) *httptest.ResponseRecorder {
		line := fmt.Sprintf(`{"id":%q,"at":%q}`+"\n", id.New(journal.Prefix, at), at.Format(time.RFC3339))
		return send(query, line+line)
	}
	if w := post("?lost=3", now); w.Code != http.StatusNoContent || noted != 2 || lost != 3 {
		t.Errorf("%d %s: %d noted, %d lost", w.Code, w.Body, noted, lost)
	}
	// One that is refused takes no other with it, and is counted.
	one := func(at time.Time) string {
		return fmt.Sprintf(`{"id":%q,"at":%q}`+"\n", id.New(journal.Prefix, at), at.Format(time.RFC3339))
	}
	noted, lost = 0, 0
	old := now.Add(-31 * 24 * time.Hour)
	w := send("?lost=1", one(now)+one(old)+"{]\n"+one(now)+one(old))
	if w.Code != http.StatusOK || noted != 2 || lost != 4 || strings.TrimSpace(w.Body.String()) != `{"taken":2,"refused":3,"why":"decision 2 has no id such as dec_…, or is not of the last 30 days"}` {
		t.Errorf("some of them too old: %d %s: %d noted, %d lost", w.Code, w.Body, noted, lost)
	}
	for _, part := range []string{`"grant":"usr_01h455vb4pex5vsknk084sn02q"`, `"session":"default"`} {
		line := strings.TrimSuffix(strings.TrimSpace(one(now)), "}") + "," + part + "}"
		if w := send("", line); w.Code != http.StatusBadRequest || noted != 2 {
			t.Errorf("%s was taken: %d %s", part, w.Code, w.Body)
		}
	}
	full = true
	if w := post("?lost=0", now); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" || noted != 2 {
		t.Errorf("no room: %d %v", w.Code, w.Header())
	}
	full = false
	for name, w := range map[string]*httptest.ResponseRecorder{"too old": post("", now.Add(-31*24*time.Hour)), "of tomorrow": post("", now.Add(time.Hour)), "less than none": post("?lost=-1", now)} {
		if w.Code != http.StatusBadRequest || noted != 2 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}
