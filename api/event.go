package api

import "time"

// Event is something that happened, as the event log holds it.
type Event struct {
	ID         string         `json:"id"`
	Position   string         `json:"position" doc:"Its place in the log: epoch and number." example:"1.4711"`
	At         time.Time      `json:"at"`
	Action     string         `json:"action" example:"client.update"`
	TargetType string         `json:"target_type,omitempty"`
	Target     string         `json:"target,omitempty"`
	Actor      Actor          `json:"actor"`
	Data       map[string]any `json:"data,omitempty"`
}

// Actor is who caused an event, and from where.
type Actor struct {
	Kind      string `json:"kind" doc:"person, service, client, system or anonymous"`
	ID        string `json:"id,omitempty"`
	Client    string `json:"client,omitempty"`
	Session   string `json:"session,omitempty"`
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

// Activity is something that happens too often for an event of its own, such as that
// a token was issued. The event log holds the hash of what is kept of it.
type Activity struct {
	At     time.Time         `json:"at"`
	Action string            `json:"action" example:"token.issue"`
	Actor  Actor             `json:"actor"`
	Target string            `json:"target,omitempty" doc:"The grant of a token; whom or what it was tried on."`
	Reason string            `json:"reason,omitempty" doc:"Why it was refused."`
	Count  int               `json:"count,omitempty" doc:"How many like it, where they are counted instead of listed."`
	Data   map[string]string `json:"data,omitempty"`
}

// ActivityPage is one page of activity. It may hold less than was asked for, or
// nothing, and still have a next one: a request reads a bounded part of what is kept.
type ActivityPage struct {
	Items      []Activity `json:"items"`
	Next       string     `json:"next,omitempty" doc:"Send as after to get the next page. Absent on the last page."`
	Reached    *time.Time `json:"reached,omitempty" doc:"Up to when this page looked back, if there is a next one."`
	Unreadable []string   `json:"unreadable,omitempty" doc:"Segments that cannot be read: somebody changed them. POST /events/verify says more."`
}

// LogVerified is the result of checking the event log against its hash tree, and
// activity against the hashes in the log, or of a step of that.
type LogVerified struct {
	Intact      bool   `json:"intact" doc:"Everything was checked and fits. It is false as long as there is a next step."`
	Problem     string `json:"problem,omitempty" doc:"The first thing that does not fit."`
	Size        int64  `json:"size" doc:"Events checked."`
	Of          int64  `json:"of" doc:"Events in the log, for a sense of progress."`
	Root        string `json:"root,omitempty" doc:"The hash of the whole log (RFC 6962)."`
	Checkpoints int    `json:"checkpoints" doc:"Signed checkpoints that fit."`
	Segments    int64  `json:"segments" doc:"Segments of activity that fit."`
	Forgotten   int64  `json:"forgotten" doc:"Segments of activity that were deleted because of their age, of which the log still holds the hashes."`
	Next        string `json:"next,omitempty" doc:"Send as after for the next step. Absent when everything was checked, and when there is a problem."`
}
