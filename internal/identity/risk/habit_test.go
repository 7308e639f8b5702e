package risk

import (
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/geo"
)

// remembered is the memory of a person as detectors see it.
func (w *world) remembered(t testing.TB, who string) (p *person) {
	t.Helper()
	must(t, w.Env.DB.View(t.Context(), dbtest.Realm, func(tx *db.Tx) (err error) {
		p, err = askPerson(tx, who)()
		return err
	}))
	return p
}

// Whoever signs in day after day as they do leaves nothing but their habit behind, and
// detectors know all the same: leave the habits out of Assess to see it fail.
func TestAHabitIsRememberedWithTheBrowser(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada, laptop := w.someone(t), w.browser(firefox, home)
		for range 130 {
			w.signIn(t, laptop, ada)
			w.Clock.Advance(24 * time.Hour)
		}
		since := strconv.FormatInt(w.Clock.Now().Add(-100*24*time.Hour).UnixMilli(), 10)
		if n := w.count(t, `SELECT COUNT(*) FROM risk_people WHERE realm = $1 AND last_at > `+since); n != 0 {
			t.Error("the memory was written again and again")
		}
		if p := w.remembered(t, ada); p.Last != w.Clock.Now().Add(-24*time.Hour).UnixMilli() || len(p.Devices) != 1 || len(p.Networks) != 1 {
			t.Errorf("remembered %+v", p)
		}
		if v := w.assess(t, w.browser(firefox, home), ada, true); len(v.Findings) != 0 {
			t.Errorf("a cookie that was lost is found to be %+v", v.Findings)
		}
		// What is new is remembered beside what was.
		laptop.ip = away
		w.signIn(t, laptop, ada)
		if p := w.remembered(t, ada); p.Last != w.Clock.Now().UnixMilli() || len(p.Networks) != 2 {
			t.Errorf("remembered %+v", p)
		}
		w.Clock.Advance(130 * 24 * time.Hour)
		if v := w.assess(t, w.browser(firefox, home), ada, true); len(v.Findings) != 1 || v.Findings[0].Detector != Dormant {
			t.Errorf("an account that slept meets %+v", v.Findings)
		}
	})
}

// Browsers are believed no more after an alarm; where their owner was is known still.
// Have disbelieve not gather to see it fail.
func TestAnAlarmForgetsNoHabit(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada, laptop := w.someone(t), w.browser(firefox, home)
		for range 3 {
			w.signIn(t, laptop, ada)
			w.Clock.Advance(24 * time.Hour)
		}
		before := w.remembered(t, ada)
		must(t, w.Env.DB.Update(t.Context(), dbtest.Realm, func(tx *db.Tx) error { return Restored(tx, audit.System, ada) }))
		if w.count(t, `SELECT COUNT(*) FROM browsers WHERE realm = $1`) != 0 {
			t.Error("a browser is believed")
		}
		if after := w.remembered(t, ada); !reflect.DeepEqual(before, after) {
			t.Errorf("remembered %+v, and then %+v", before, after)
		}
	})
}

// Habits are kept for as long as memories are.
func TestHabitsAreForgottenInTime(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada, bob := w.someone(t), w.someone(t)
		laptop, other := w.browser(firefox, home), w.browser(firefox, home)
		w.signIn(t, laptop, ada)
		w.signIn(t, other, bob)
		w.Clock.Advance(200 * 24 * time.Hour)
		w.signIn(t, laptop, ada)
		w.Clock.Advance(201 * 24 * time.Hour)
		for range 2 {
			_, err := w.Collect(t.Context(), dbtest.Realm)
			must(t, err)
		}
		if w.remembered(t, ada).blank() || !w.remembered(t, bob).blank() {
			t.Errorf("ada %+v, bob %+v", w.remembered(t, ada), w.remembered(t, bob))
		}
		w.Clock.Advance(400 * 24 * time.Hour)
		_, err := w.Collect(t.Context(), dbtest.Realm)
		must(t, err)
		if n := w.count(t, `SELECT (SELECT COUNT(*) FROM risk_people WHERE realm = $1) + (SELECT COUNT(*) FROM browsers WHERE realm = $1 AND habit <> '')`); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}

// A habit tells of a place what the memory would have.
func TestAHabitFoldsIn(t *testing.T) {
	bern, rome := geo.Place{Country: "CH", Lat: 46.9, Lon: 7.4, Exact: true}, geo.Place{Country: "IT"}
	at := func(ms int64, place geo.Place) habit {
		text, err := way("Firefox on Linux", "near", place)
		must(t, err)
		h, ok := parseHabit(habit{ms, text}.text())
		if !ok {
			t.Fatal("unreadable")
		}
		return h
	}
	p := &person{Last: 20, Devices: map[string]int64{"Firefox on Linux": 20}, Stays: []stay{{10, rome}, {20, rome}}}
	for _, h := range []habit{at(15, bern), at(30, bern), at(15, bern), at(5, geo.Place{})} {
		p.fold(h)
	}
	want := &person{Last: 30, Devices: map[string]int64{"Firefox on Linux": 30}, Networks: map[string]int64{"near": 30}, Countries: map[string]int64{"CH": 30},
		Stays: []stay{{10, rome}, {15, bern}, {20, rome}, {30, bern}}}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v", p)
	}
	for _, text := range []string{"", "x", "x\ny", "5\ny"} {
		if h, ok := parseHabit(text); ok {
			p.fold(h)
		}
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("nonsense made %+v of it", p)
	}
}
