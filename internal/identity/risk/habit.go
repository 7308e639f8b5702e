package risk

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/geo"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

// habit is how a browser signed in last. It is kept with the browser, and while the
// browser comes as before, nothing but its instant changes: the memory of the person
// holds the rest. Whoever reads that memory folds the habits of all browsers into it.
type habit struct {
	at  int64  // milliseconds since 1970
	way string // network, kind of browser and place, each but the last in a line
}

// text is a habit as it is kept.
func (h habit) text() string { return strconv.FormatInt(h.at, 10) + "\n" + h.way }

func parseHabit(text string) (h habit, ok bool) {
	at, way, ok := strings.Cut(text, "\n")
	if !ok {
		return h, false
	}
	n, err := strconv.ParseInt(at, 10, 64)
	return habit{n, way}, err == nil
}

// way puts down where a browser is, and what kind it is.
func way(device, near string, at geo.Place) (string, error) {
	place := ""
	if at.Country != "" {
		text, err := json.Marshal(at)
		if err != nil {
			return "", err
		}
		place = string(text)
	}
	return near + "\n" + device + "\n" + place, nil
}

// fold remembers what a browser did last, if it is newer than what is remembered.
func (p *person) fold(h habit) {
	near, rest, _ := strings.Cut(h.way, "\n")
	device, at, ok := strings.Cut(rest, "\n")
	if !ok {
		return
	}
	p.Last = max(p.Last, h.at)
	p.Networks, p.Devices = since(p.Networks, near, h.at), since(p.Devices, device, h.at)
	var place geo.Place
	if at == "" || json.Unmarshal([]byte(at), &place) != nil {
		return
	}
	p.Countries = since(p.Countries, place.Country, h.at)
	for _, s := range p.Stays {
		if s.At == h.at {
			return
		}
	}
	p.Stays = append(p.Stays, stay{h.at, place})
	for i := len(p.Stays) - 1; i > 0 && p.Stays[i].At < p.Stays[i-1].At; i-- {
		p.Stays[i-1], p.Stays[i] = p.Stays[i], p.Stays[i-1]
	}
}

// since has a key of a set be seen at an instant, or later.
func since(set map[string]int64, key string, at int64) map[string]int64 {
	if set == nil {
		set = map[string]int64{}
	}
	set[key] = max(set[key], at)
	return set
}

// bound keeps no more than is remembered.
func (p *person) bound(now time.Time) {
	keep(p.Devices, now, maxDevices)
	keep(p.Networks, now, maxNetworks)
	keep(p.Countries, now, maxCountries)
	p.forget(now)
}

// Habit returns what is to be kept with a browser that signs in, and that signed in
// before as v says. Where it comes as it did then, [Memory.Remember] has nothing else
// to remember; it must come after.
func (m *Memory) Habit(v *credential.Visit, by audit.Actor) (string, error) {
	s := m.guard.scene(m.tx.Now, proved, by)
	now := habit{at: m.tx.Now.UnixMilli()}
	var err error
	if now.way, err = way(s.device, hashNetwork(m.guard.Key, m.tx.Realm, nearOf(by.IP)), s.place); err != nil {
		return "", err
	}
	before, ok := parseHabit(v.Habit)
	m.usual = ok && before.way == now.way
	switch {
	case !m.usual:
		_, err = m.person() // before the habit is written, which is folded into it
	case m.tx.Now.Sub(time.UnixMilli(before.at)) < often:
		return v.Habit, nil
	}
	return now.text(), err
}
