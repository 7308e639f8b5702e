package risk

import (
	"time"

	"github.com/cardea-id/cardea/internal/realm"
)

// Action is what a realm does about the findings of a detector. Each includes
// those before it. The zero value, like a word that there is not, is Off.
type Action int

// The actions.
const (
	Off    Action = iota
	Inform        // note it in the log, and tell the person where they can do something about it
	StepUp        // demand the second assurance level of the sign-in
	Slow          // let unknown browsers try one password at a time
	Lock          // refuse passwords from unknown browsers, and open an incident
	Revoke        // and end every session and grant of the person
)

var actionNames = map[Action]string{Off: "off", Inform: "inform", StepUp: "step_up", Slow: "slow", Lock: "lock", Revoke: "revoke"}

func (a Action) String() string { return actionNames[a] }

func actionOf(word string) Action {
	for a, name := range actionNames {
		if name == word {
			return a
		}
	}
	return Off
}

// actionFor is what a realm does about a detector's findings.
func actionFor(s realm.Settings, detector string) Action { return actionOf(s.Risk.Action(detector)) }

// How long what an action holds lasts, unless it is released before.
const (
	holdNetwork = time.Hour
	holdPerson  = 24 * time.Hour
	// holdProof waits for the next sign-in, which may be long after.
	holdProof = 30 * 24 * time.Hour
	// slowEvery is how often a password may be tried where an action slows.
	slowEvery = 30 * time.Second
	// quiet is how long the same finding about the same subject is not repeated.
	quiet = time.Hour
)
