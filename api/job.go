package api

import "time"

// Job is work that is done in the background, such as to tell a client that a
// session has ended.
type Job struct {
	ID           string     `json:"id"`
	Kind         string     `json:"kind"`
	State        string     `json:"state" doc:"waiting, running, done, dead (given up) or discarded"`
	Target       string     `json:"target,omitempty" doc:"Who is told, such as a client."`
	Subject      string     `json:"subject,omitempty" doc:"What it is about, such as a session."`
	Attempts     int        `json:"attempts" doc:"Begun so far."`
	AttemptsLeft int        `json:"attempts_left"`
	LastError    string     `json:"last_error,omitempty" doc:"Why the last attempt failed."`
	Node         string     `json:"node,omitempty" doc:"Which node is doing it."`
	CreatedAt    time.Time  `json:"created_at"`
	DueAt        *time.Time `json:"due_at,omitempty" doc:"When it is attempted next."`
	EndedAt      *time.Time `json:"ended_at,omitempty"`
}
