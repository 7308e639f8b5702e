package replica

import (
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Decision is one that an edge made, as it hands it in: the question and answer
// with all that they rest on.
type Decision struct {
	ID       string          `json:"id"`
	At       time.Time       `json:"at"`
	Question policy.Question `json:"question"`
	Answer   policy.Answer   `json:"answer"`
	Revision string          `json:"revision"`
	Refused  string          `json:"refused,omitempty"` // why the policies were not asked
	Request  string          `json:"request,omitempty"`
	Kind     string          `json:"kind,omitempty"`    // of a search, as the decision log names it
	Results  int             `json:"results,omitempty"` // of a search

	// What the access token in the question proved.
	Token       string `json:"token,omitempty"`
	Grant       string `json:"grant,omitempty"`
	Session     string `json:"session,omitempty"`
	Application string `json:"application,omitempty"`
}

// HandedIn is what a server says of decisions of which it took some only.
type HandedIn struct {
	Taken   int    `json:"taken"`
	Refused int    `json:"refused"`
	Why     string `json:"why"` // of the first
}
