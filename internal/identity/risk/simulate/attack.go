package simulate

import (
	"fmt"
	"time"
)

// The attacks, by which events are labelled.
const (
	Stuffing         = "stuffing"          // leaked pairs from one address
	StuffingSlow     = "stuffing, slow"    // the same, some tries an hour
	StuffingBotnet   = "stuffing, botnet"  // the same, from an address for every few tries
	Spray            = "spray"             // one password at many accounts from one address
	SprayBotnet      = "spray, botnet"     // the same, from an address for every few tries
	TakeoverAbroad   = "takeover, abroad"  // the right password, from elsewhere
	TakeoverNear     = "takeover, near"    // the same, from the person's own country
	TakeoverDormant  = "takeover, dormant" // the right password of an account that sleeps
	TokenTheft       = "token theft"       // a refresh token that two parties use
	TokenWithoutKey  = "token without key" // a bound refresh token without its key
	PasskeyClone     = "passkey clone"     // a copied authenticator
	SuspendedAccount = "suspended account" // somebody who should be out wants in
)

// attacks adds attacks of each kind.
func (w *world) attacks() {
	for range 3 {
		w.stuff(Stuffing, 1, 40+w.IntN(150), 15*time.Second)
		w.spray(Spray, 1, 30+w.IntN(60))
	}
	w.stuff(StuffingSlow, 1, 40, 6*time.Minute)
	w.stuff(StuffingBotnet, 40+w.IntN(40), 120, 20*time.Second)
	w.spray(SprayBotnet, 20+w.IntN(20), 40+w.IntN(40))
	for _, h := range w.some(8) {
		w.takeOver(TakeoverAbroad, h, w.afar(h.home), w.anytime().Add(20*24*time.Hour))
	}
	for _, h := range w.some(8) {
		w.takeOver(TakeoverNear, h, h.home, w.anytime().Add(20*24*time.Hour))
	}
	for _, h := range w.people {
		if h.id > "usr_200" && w.chance(0.4) { // it never comes back
			w.events = w.without(h.id, 40)
			w.takeOver(TakeoverDormant, h, countries[w.IntN(len(countries))], start.Add(time.Duration(140+w.IntN(90))*24*time.Hour))
		}
	}
	for _, h := range w.some(6) {
		w.one(TokenTheft, Event{Kind: Refresh, Account: h.id, Unused: w.chance(0.25)})
	}
	for _, h := range w.some(4) {
		w.one(TokenWithoutKey, Event{Kind: Refresh, Account: h.id, Keyed: true, Unused: true})
	}
	for _, h := range w.some(4) {
		before := int64(20 + w.IntN(400))
		w.one(PasskeyClone, Event{Kind: Counter, Account: h.id, Old: before, New: before - int64(w.IntN(15))})
	}
	for _, h := range w.some(4) {
		w.episodes++
		at, right := w.anytime(), w.chance(0.5)
		for i := range 1 + w.IntN(6) {
			w.events = append(w.events, Event{At: at.Add(time.Duration(i) * 10 * time.Minute), Account: "left_" + h.id, Password: "guess" + fmt.Sprint(i), Right: right, Suspended: true,
				Agent: agents[0], IP: w.address(60), Place: h.home, Attack: SuspendedAccount, Episode: w.episodes})
		}
	}
}

func (w *world) afar(home Place) Place {
	for {
		if p := countries[w.IntN(len(countries))]; p != home {
			return p
		}
	}
}

// without drops what an account does after a day.
func (w *world) without(id string, day int) []Event {
	var kept []Event
	for _, e := range w.events {
		if e.Account != id || e.At.Before(start.Add(time.Duration(day)*24*time.Hour)) {
			kept = append(kept, e)
		}
	}
	return kept
}

// stuff tries leaked pairs. A few of them are good.
func (w *world) stuff(name string, addresses, tries int, every time.Duration) {
	w.episodes++
	at, from := w.anytime(), make([]string, addresses)
	for i := range from {
		from[i] = w.address(45)
	}
	place := countries[w.IntN(len(countries))]
	for i := range tries {
		e := Event{At: at.Add(time.Duration(i) * every), Password: fmt.Sprint("leaked ", w.episodes, " ", i), Agent: agents[w.IntN(len(agents))], IP: from[w.IntN(addresses)],
			Place: place, Attack: name, Episode: w.episodes, Account: fmt.Sprint("?leaked ", w.episodes, " ", i)}
		if h := w.people[w.IntN(len(w.people))]; w.chance(0.4) {
			e.Account = h.id
			if w.chance(0.04) {
				e.Right, e.Password = true, h.password
			}
		}
		w.events = append(w.events, e)
	}
}

// spray tries one password at many accounts.
func (w *world) spray(name string, addresses, accounts int) {
	w.episodes++
	at, from := w.anytime().Truncate(24*time.Hour).Add(time.Hour), make([]string, addresses)
	for i := range from {
		from[i] = w.address(46)
	}
	place := countries[w.IntN(len(countries))]
	for i, h := range w.some(accounts) {
		w.events = append(w.events, Event{At: at.Add(time.Duration(i) * 6 * time.Minute), Password: fmt.Sprint("season ", w.episodes), Agent: agents[0], IP: from[i%addresses],
			Place: place, Account: h.id, Attack: name, Episode: w.episodes})
	}
}

// takeOver signs in with a password that was stolen.
func (w *world) takeOver(name string, h *human, from Place, at time.Time) {
	w.episodes++
	w.events = append(w.events, Event{At: at, Account: h.id, Password: h.password, Right: true, Browser: w.browser(), Agent: agents[w.IntN(len(agents))],
		IP: w.address(47), Place: from, Attack: name, Episode: w.episodes})
}

func (w *world) one(name string, e Event) {
	w.episodes++
	e.At, e.IP, e.Agent, e.Attack, e.Episode = w.anytime(), w.address(48), agents[2], name, w.episodes
	w.events = append(w.events, e)
}
