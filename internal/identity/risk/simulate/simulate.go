// Package simulate makes up a year of sign-ins of a small realm, ordinary life
// and attacks, each event labelled with what it is. The same seed makes the same
// trace. It knows no detector, so that no detector can be written for it
// unnoticed: package risk is measured on its traces.
package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is what happens.
type Kind int

// The kinds of events.
const (
	Password Kind = iota // somebody tries a password
	Refresh              // a refresh token comes that should not
	Counter              // the counter of a passkey does not go up
)

// Event is one thing that happens.
type Event struct {
	At      time.Time
	Kind    Kind
	Account string // what is tried; one that there is not begins with "?"

	Password  string
	Right     bool
	Suspended bool
	Browser   string // tells browsers apart, "" for one that keeps no cookies
	Agent     string
	IP        string
	Place     Place

	Keyed, Unused bool  // of a refresh token: with another key, successor unused
	Old, New      int64 // of a counter

	Attack  string // what it belongs to; "" is ordinary life
	Episode int    // which attack
}

// Place is where an address is.
type Place struct {
	Country  string
	Lat, Lon float64
}

// Days is how long a trace lasts.
const Days = 240

var start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

var countries = []Place{{"DE", 52.5, 13.4}, {"FR", 48.9, 2.4}, {"US", 40.7, -74}, {"BR", -23.5, -46.6}, {"IN", 19.1, 72.9}, {"JP", 35.7, 139.7},
	{"NG", 6.5, 3.4}, {"AU", -33.9, 151.2}, {"CZ", 50.1, 14.4}, {"CA", 45.4, -75.7}}

var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
}

var phones = []string{
	"Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 16; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
}

// world is what one seed makes.
type world struct {
	*rand.Rand
	events   []Event
	people   []*human
	offices  []string
	episodes int
	serial   int
}

// human is somebody with an account.
type human struct {
	id, password   string
	home           Place
	homeIP, office string
	laptop, phone  device
	every          float64 // days between sign-ins
	night          bool
	travels, vpn   bool
	clears         bool // cookies, each time
	asleep         [2]int
	refreshes      bool
}

type device struct{ browser, agent string }

// Trace makes the events of a seed, in order.
func Trace(seed uint64) []Event {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 0x5eed))}
	for range 8 {
		w.offices = append(w.offices, w.address(10+w.IntN(90)))
	}
	for i := range 220 {
		w.people = append(w.people, w.human(i))
	}
	for _, h := range w.people {
		w.live(h)
	}
	w.households()
	w.oddDays()
	w.attacks()
	slices.SortStableFunc(w.events, func(a, b Event) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Account, b.Account)) })
	return w.events
}

func (w *world) human(i int) *human {
	h := &human{id: fmt.Sprintf("usr_%03d", i), password: fmt.Sprint("right ", i), home: countries[w.IntN(6)], every: 1 + 6*w.Float64()}
	h.homeIP = w.address(20 + w.IntN(150))
	h.laptop = device{w.browser(), agents[w.IntN(len(agents))]}
	h.phone = device{w.browser(), phones[w.IntN(2)]}
	if w.Float64() < 0.5 {
		h.office = w.offices[w.IntN(len(w.offices))]
	}
	h.night, h.travels, h.vpn, h.clears = w.chance(0.1), w.chance(0.15), w.chance(0.08), w.chance(0.06)
	h.refreshes = w.chance(0.5)
	if w.chance(0.08) { // a long leave
		from := 30 + w.IntN(40)
		h.asleep = [2]int{from, from + 95 + w.IntN(60)}
	}
	return h
}

// live is the ordinary life of somebody.
func (w *world) live(h *human) {
	newPhone, newLaptop := -1, -1
	if w.chance(0.25) {
		newPhone = 20 + w.IntN(Days-20)
	}
	if w.chance(0.1) {
		newLaptop = 20 + w.IntN(Days-20)
	}
	trip, away := 0, h.home
	for day := w.Float64() * h.every; day < Days; day += h.every * (0.3 + 1.4*w.Float64()) {
		d := int(day)
		if d >= h.asleep[0] && d < h.asleep[1] {
			continue
		}
		if h.asleep[1] > 0 && d >= h.asleep[1] && h.asleep[0] > 0 {
			h.asleep = [2]int{}
			if w.chance(0.4) { // back with a new computer
				h.laptop = device{w.browser(), agents[w.IntN(len(agents))]}
			}
		}
		if newPhone >= 0 && d >= newPhone {
			h.phone, newPhone = device{w.browser(), phones[w.IntN(2)]}, -1
		}
		if newLaptop >= 0 && d >= newLaptop {
			h.laptop, newLaptop = device{w.browser(), agents[w.IntN(len(agents))]}, -1
		}
		if trip > 0 {
			trip--
		} else if away = h.home; h.travels && w.chance(0.12) {
			trip, away = 1+w.IntN(4), countries[w.IntN(len(countries))]
		}
		w.signIn(h, d, away)
	}
	if h.refreshes {
		w.tokens(h)
	}
}

// signIn is one sign-in with the slips that belong to it.
func (w *world) signIn(h *human, day int, at Place) {
	hour := 7 + 15*w.Float64()
	if h.night {
		hour = 20 + 9*w.Float64()
	}
	e := Event{At: start.Add(time.Duration((float64(day)*24 + hour) * float64(time.Hour))), Account: h.id, Password: h.password, Right: true, Place: at}
	switch dev := w.Float64(); {
	case dev < 0.55:
		e.Browser, e.Agent, e.IP = h.laptop.browser, h.laptop.agent, h.homeIP
		if h.office != "" && w.chance(0.6) {
			e.IP = h.office
		}
	default:
		e.Browser, e.Agent = h.phone.browser, h.phone.agent
		e.IP = fmt.Sprintf("100.64.%d.%d", w.IntN(4), w.IntN(250)) // a carrier that hops
		if w.chance(0.4) {
			e.IP = h.homeIP
		}
	}
	switch {
	case at != h.home:
		e.IP = w.address(170 + w.IntN(20)) // a hotel
		if w.chance(0.04) {
			e.Browser, e.Agent = w.browser(), agents[w.IntN(len(agents))] // its computer
		}
	case h.vpn && w.chance(0.3):
		e.IP, e.Place = fmt.Sprintf("185.1.%d.%d", w.IntN(4), w.IntN(40)), countries[w.IntN(len(countries))]
		if w.chance(0.1) {
			e.Browser = "" // a private window
		}
	}
	if h.clears || w.chance(0.01) {
		e.Browser = w.browser()
	}
	for slips := w.slips(); slips > 0; slips-- {
		slip := e
		slip.At, slip.Right, slip.Password = e.At.Add(-time.Duration(slips)*20*time.Second), false, fmt.Sprint("typo ", h.id, w.IntN(3))
		w.events = append(w.events, slip)
	}
	w.events = append(w.events, e)
}

// slips is how often somebody types it wrong before. A password manager that
// has an old password tries it again and again.
func (w *world) slips() int {
	switch x := w.Float64(); {
	case x < 0.85:
		return 0
	case x < 0.95:
		return 1
	case x < 0.985:
		return 2
	}
	return 3 + w.IntN(5)
}

// tokens are what apps do with refresh tokens on bad lines, after a backup was
// restored, and after they were installed anew.
func (w *world) tokens(h *human) {
	app := Event{Kind: Refresh, Account: h.id, Agent: h.phone.agent, IP: "100.64.0.9", Place: h.home}
	for range w.IntN(3) {
		lost := app
		lost.At, lost.Unused = w.anytime(), true
		w.events = append(w.events, lost)
	}
	if w.chance(0.01) {
		restored := app
		restored.At = w.anytime()
		w.events = append(w.events, restored)
	}
	if w.chance(0.01) {
		anew := app
		anew.At, anew.Keyed, anew.Unused = w.anytime(), true, true
		w.events = append(w.events, anew)
	}
	if w.chance(0.03) { // a passkey that moved to a keeper that does not count
		w.events = append(w.events, Event{At: w.anytime(), Kind: Counter, Account: h.id, Old: int64(1 + w.IntN(300)), New: 0, Agent: h.phone.agent, IP: h.homeIP, Place: h.home})
	}
	if w.chance(0.004) { // an authenticator that was restored
		w.events = append(w.events, Event{At: w.anytime(), Kind: Counter, Account: h.id, Old: 90, New: 60, Agent: h.phone.agent, IP: h.homeIP, Place: h.home})
	}
}

// households are people who share one computer.
func (w *world) households() {
	for i := 0; i+2 < 30; i += 3 {
		shared := w.people[i]
		for _, h := range w.people[i+1 : i+3] {
			for range 6 {
				day := w.IntN(Days)
				w.events = append(w.events, Event{At: start.Add(time.Duration(float64(day)*24+18+3*w.Float64()) * time.Hour), Account: h.id, Password: h.password, Right: true,
					Browser: shared.laptop.browser, Agent: shared.laptop.agent, IP: shared.homeIP, Place: shared.home})
			}
		}
	}
}

// oddDays are days in the life of an organization that look like attacks.
func (w *world) oddDays() {
	// A course: fresh browsers behind one address, and some forgot their password.
	for range 3 {
		room, at := w.address(200+w.IntN(20)), w.morning()
		for i, h := range w.some(20 + w.IntN(12)) {
			e := Event{At: at.Add(time.Duration(i*20+w.IntN(60)) * time.Second), Account: h.id, Password: h.password, Right: !w.chance(0.12), Browser: w.browser(),
				Agent: agents[0], IP: room, Place: h.home}
			if !e.Right || w.chance(0.25) {
				slip := e
				slip.At, slip.Right, slip.Password = e.At.Add(-15*time.Second), false, fmt.Sprint("typo ", h.id)
				w.events = append(w.events, slip)
			}
			if !e.Right {
				e.Password = fmt.Sprint("old ", h.id)
			}
			w.events = append(w.events, e)
		}
	}
	// A first password that was handed out to newcomers and does not work any more.
	if w.chance(0.3) {
		at := w.morning()
		for i, h := range w.some(6 + w.IntN(5)) {
			w.events = append(w.events, Event{At: at.Add(time.Duration(i) * 7 * time.Minute), Account: h.id, Password: "welcome on board 2026", Browser: w.browser(),
				Agent: agents[0], IP: w.offices[0], Place: h.home})
		}
	}
	// Names with a new spelling: a whole office types what is nobody's any more.
	if w.chance(0.2) {
		at := w.morning()
		for i, h := range w.some(7) {
			w.events = append(w.events, Event{At: at.Add(time.Duration(i) * 4 * time.Minute), Account: "?" + h.id, Password: h.password, Browser: w.browser(), Agent: agents[0], IP: w.offices[1], Place: h.home})
			w.events = append(w.events, Event{At: at.Add(time.Duration(i)*4*time.Minute + time.Minute), Account: h.id, Password: h.password, Right: true, Browser: w.browser(), Agent: agents[0], IP: w.offices[1], Place: h.home})
		}
	}
	// Somebody who left, and whose phone does not know it yet.
	for _, h := range w.some(3) {
		for i := range 1 + w.IntN(2) {
			w.events = append(w.events, Event{At: w.anytime().Add(time.Duration(i) * time.Minute), Account: "left_" + h.id, Password: "stale", Suspended: true, Agent: h.phone.agent, IP: h.homeIP, Place: h.home})
		}
	}
}

func (w *world) address(net int) string {
	return fmt.Sprintf("%d.%d.%d.%d", net, w.IntN(250), w.IntN(250), 1+w.IntN(250))
}

func (w *world) browser() string {
	w.serial++
	return fmt.Sprint("b", w.serial)
}

func (w *world) chance(p float64) bool { return w.Float64() < p }

func (w *world) anytime() time.Time {
	return start.Add(time.Duration(w.Int64N(int64(Days * 24 * time.Hour))))
}

func (w *world) morning() time.Time {
	return start.Add(time.Duration(30+w.IntN(Days-30))*24*time.Hour + 9*time.Hour)
}

// some people, each once.
func (w *world) some(n int) []*human {
	all := slices.Clone(w.people)
	w.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:n]
}
