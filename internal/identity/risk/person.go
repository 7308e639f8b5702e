package risk

import (
	"time"

	"github.com/cardea-id/cardea/internal/geo"
)

// person is what is remembered of somebody's sign-ins. Instants are
// milliseconds since 1970.
type person struct {
	Last      int64            `json:"last,omitempty"` // when they last proved who they are
	Devices   map[string]int64 `json:"devices,omitempty"`
	Networks  map[string]int64 `json:"networks,omitempty"`
	Countries map[string]int64 `json:"countries,omitempty"`
	Stays     []stay           `json:"stays,omitempty"`   // the last places, newest last
	Refused   []int64          `json:"refused,omitempty"` // tries while suspended
	Told      map[string]int64 `json:"told,omitempty"`    // detectors, and when they last found something
}

type stay struct {
	At    int64     `json:"at"`
	Place geo.Place `json:"place"`
}

// The bounds of a memory of a person.
const (
	maxDevices   = 12
	maxNetworks  = 24
	maxCountries = 24
	maxStays     = 6
	maxRefused   = 8
	staysFor     = 24 * time.Hour
	refusedFor   = 24 * time.Hour
	rememberFor  = 400 * 24 * time.Hour
)

// often is how soon after a sign-in another one as before is not worth a write.
const often = 10 * time.Minute

// blank reports whether nothing is known of how somebody signs in.
func (p *person) blank() bool { return p.Last == 0 }

// note remembers a sign-in. It reports whether there was anything to remember:
// somebody who signs in again and again as before costs no write.
func (p *person) note(now time.Time, device, network string, place geo.Place) bool {
	_, sameDevice := p.Devices[device]
	_, sameNetwork := p.Networks[network]
	if sameDevice && sameNetwork && now.Sub(time.UnixMilli(p.Last)) < often && (len(p.Stays) == 0 && place.Country == "" || len(p.Stays) > 0 && p.Stays[len(p.Stays)-1].Place == place) {
		return false
	}
	p.Last = now.UnixMilli()
	p.Devices = remember(p.Devices, device, now, maxDevices)
	p.Networks = remember(p.Networks, network, now, maxNetworks)
	if place.Country != "" {
		p.Countries = remember(p.Countries, place.Country, now, maxCountries)
		p.Stays = append(p.Stays, stay{now.UnixMilli(), place})
	}
	p.forget(now)
	return true
}

// refused remembers a try while the account is suspended.
func (p *person) refused(now time.Time) {
	p.Refused = append(p.Refused, now.UnixMilli())
	p.forget(now)
}

// forget drops what no detector looks at any more.
func (p *person) forget(now time.Time) {
	for len(p.Stays) > 1 && (len(p.Stays) > maxStays || p.Stays[1].At < now.Add(-staysFor).UnixMilli()) {
		p.Stays = p.Stays[1:]
	}
	for len(p.Refused) > maxRefused || len(p.Refused) > 0 && p.Refused[0] < now.Add(-refusedFor).UnixMilli() {
		p.Refused = p.Refused[1:]
	}
}

// again reports whether a detector may find something once more, and notes it.
func (p *person) again(now time.Time, detector string) bool {
	if at, told := p.Told[detector]; told && now.Sub(time.UnixMilli(at)) < quiet {
		return false
	}
	if p.Told == nil {
		p.Told = map[string]int64{}
	}
	p.Told[detector] = now.UnixMilli()
	return true
}

// remember adds a key to a bounded set of those seen last.
func remember(set map[string]int64, key string, now time.Time, most int) map[string]int64 {
	if set == nil {
		set = map[string]int64{}
	}
	set[key] = now.UnixMilli()
	keep(set, now, most)
	return set
}

// keep drops from such a set what is too old or too much.
func keep(set map[string]int64, now time.Time, most int) {
	for k, at := range set {
		if at < now.Add(-rememberFor).UnixMilli() {
			delete(set, k)
		}
	}
	for len(set) > most {
		oldest := ""
		for k, at := range set {
			if oldest == "" || at < set[oldest] || at == set[oldest] && k < oldest {
				oldest = k
			}
		}
		delete(set, oldest)
	}
}
