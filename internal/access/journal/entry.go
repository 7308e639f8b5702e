// Package journal keeps what was decided, and on what: the question, the
// revision, the policies and relations that made the answer, who asked, and from
// which sign-in the right to ask descends. It never decides and never delays a
// decision: what comes faster than it can be written is counted and left out.
//
// From it one past decision is explained, many are decided again on other
// policies, and grants that nobody needs are found.
package journal

import (
	"time"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Prefix begins the id of every decision.
const Prefix = "dec"

// The kinds of entries.
const (
	Evaluation     = "evaluation"
	SearchSubject  = "search.subject"
	SearchResource = "search.resource"
	SearchAction   = "search.action"
	Agent          = "agent"          // an agent decided by itself, and told it later
	Administration = "administration" // an operation of the admin API, asked of Cardea's own policies
)

// Entry is one decision with all that it rests on.
type Entry struct {
	ID       string
	At       time.Time
	Kind     string
	Question policy.Question
	Answer   policy.Answer // of a search: Allowed says whether it was made
	Results  int           // of a search: how many were found on this page
	Revision string        // the position in the event log of what was known
	Refused  string        // why the policies were not asked, "" if they were

	// Who asked: a client, on whose behalf, with which token, under which name
	// of its own for the request.
	Client, Principal, CallerToken, Request string

	// What the person's access token in the question proved: its id, and the
	// grant, session and application that it descends from. All empty: none came.
	Token, Grant, Session, Application string

	// Masked says that parts of the question are not known any more, so that it
	// cannot be decided again.
	Masked bool
}

// Asked reports whether the policies were asked about one access, so that the
// decision can be made again on others.
func (e *Entry) Asked() bool { return e.Kind == Evaluation && e.Refused == "" && !e.Masked }

// AskedOurselves is Asked for an operation of the admin API.
func (e *Entry) AskedOurselves() bool {
	return e.Kind == Administration && e.Refused == "" && !e.Masked
}
