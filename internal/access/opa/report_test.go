package opa

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// What many agents hand over at once is bounded together, and an agent that finds no
// room keeps its decisions and comes again.
func TestDecisionLogsAreBoundedTogether(t *testing.T) {
	s := New(Options{Plane: new(agent.Plane), Authenticate: func(http.ResponseWriter, *http.Request, *realm.Realm) (*Caller, error) {
		return &Caller{Client: "agent"}, nil
	}})
	m := web.NewMux(web.MuxOptions{})
	s.Mount(m)
	send := func(name string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", Path+"/logs", strings.NewReader("not packed"))
		r.Header.Set("Content-Encoding", "gzip")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r.WithContext(realm.With(r.Context(), &realm.Realm{Name: name, Settings: realm.Settings{DecisionLog: time.Hour}})))
		return w
	}
	for range maxUnpacking {
		s.unpacking.Take("a")
	}
	if w := send("a"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("no room: %d %s", w.Code, w.Body)
	}
	s.unpacking.Leave("a")
	for range 2 { // and what was unpacked leaves its place
		if w := send("a"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "body_invalid") {
			t.Errorf("room, but nothing that can be unpacked: %d %s", w.Code, w.Body)
		}
	}
}
