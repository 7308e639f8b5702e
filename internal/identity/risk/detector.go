package risk

import (
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/geo"
)

// Finding is something odd, with the reason in words: a key of the catalogue
// and its arguments.
type Finding struct {
	Detector string
	Reason   string
	Args     map[string]string
}

// The detectors, by which settings and events name them.
const (
	Stuffing   = "credential_stuffing"
	Spraying   = "password_spraying"
	NewDevice  = "new_device"
	NewCountry = "new_country"
	Travel     = "impossible_travel"
	Dormant    = "dormant_account"
	Reuse      = "refresh_reuse"
	KeyChange  = "key_change"
	Counter    = "passkey_counter"
	Suspended  = "suspended_account"
	// NotMe is no detector: a person said so.
	NotMe = "not_me"
)

// kind says what happens, and so which detectors look.
type kind int

const (
	wrongTry kind = iota // a password from an unknown browser that opened nothing
	proved               // somebody proved who they are and is about to be signed in
	refresh              // a refresh token was refused
	passkey              // the counter of a passkey went back
)

// scene is what a detector sees. Memories are never nil.
type scene struct {
	kind  kind
	now   time.Time
	known bool // the browser has signed in to this account before

	device string // kind of browser, such as "Firefox on Linux"
	near   string // hash of the surroundings of the network
	place  geo.Place

	person  *person
	source  *source
	echo    *echo
	chance  float64  // accounts that a wrong password reaches by chance
	flagged []string // detectors that found the network before
	fact    fact
	far     func(a, b geo.Place) float64
}

// fact is what another part found out for itself.
type fact struct {
	suspended bool // the account is suspended
	matches   bool // and the password was right
	keyed     bool // the refresh token came with another key
	unused    bool // nobody has used the successor of the refresh token
	old, new  int64
}

// detector is a row of the table of detectors.
type detector struct {
	name string
	on   kind
	find func(*scene, thresholds) *Finding
	// tells says that the person can do something about what it finds.
	tells bool
}

// detectors is the table. A new one is a file and a line.
var detectors = []detector{
	{Stuffing, wrongTry, stuffing, false},
	{Stuffing, proved, stuffed, true},
	{Spraying, wrongTry, spraying, false},
	{Spraying, proved, sprayed, true},
	{Suspended, wrongTry, suspended, false},
	{Travel, proved, travel, true},
	{NewCountry, proved, newCountry, true},
	{Dormant, proved, dormant, true},
	{NewDevice, proved, newDevice, true},
	{Reuse, refresh, reuse, true},
	{KeyChange, refresh, keyChange, true},
	{Counter, passkey, counter, true},
}

// Detectors lists the names of all detectors.
func Detectors() []string {
	var names []string
	for i, d := range detectors {
		if i == 0 || d.name != detectors[i-1].name {
			names = append(names, d.name)
		}
	}
	return names
}

// Tells reports whether people are told of what a detector finds.
func Tells(name string) bool {
	for _, d := range detectors {
		if d.name == name && d.tells {
			return true
		}
	}
	return false
}

// look has every detector look that the scene concerns.
func (s *scene) look(t thresholds) (found []Finding) {
	for _, d := range detectors {
		if d.on != s.kind {
			continue
		}
		if f := d.find(s, t); f != nil {
			f.Detector = d.name
			found = append(found, *f)
		}
	}
	return found
}

func because(reason string, args ...string) *Finding {
	f := &Finding{Reason: "risk." + reason, Args: map[string]string{}}
	for i := 0; i+1 < len(args); i += 2 {
		f.Args[args[i]] = args[i+1]
	}
	return f
}

func number(n int) string { return strconv.Itoa(n) }
