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

// LogVerified is the result of checking the event log against its hash tree.
type LogVerified struct {
	Intact      bool   `json:"intact"`
	Problem     string `json:"problem,omitempty" doc:"The first thing that does not fit, when it is not intact."`
	Size        int64  `json:"size" doc:"Events in the log."`
	Root        string `json:"root,omitempty" doc:"The hash of the whole log (RFC 6962)."`
	Checkpoints int    `json:"checkpoints" doc:"Signed checkpoints that fit."`
}
