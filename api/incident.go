package api

import "time"

// Incident is something about a person or a network that operators have to look
// into.
type Incident struct {
	ID       string            `json:"id"`
	State    string            `json:"state" doc:"open or closed"`
	User     string            `json:"user,omitempty" doc:"Whose account it is about."`
	Network  string            `json:"network,omitempty" doc:"Whose tries it is about: the name of a network in the events risk.signal."`
	Detector string            `json:"detector" doc:"What was found first; not_me: a person said so."`
	Reason   string            `json:"reason" doc:"Why, as a key of the catalogue of words." example:"risk.new_device"`
	Args     map[string]string `json:"args,omitempty" doc:"What the words are made of."`
	Findings int64             `json:"findings" doc:"How often something was found while it was open."`
	OpenedAt time.Time         `json:"opened_at"`
	LastAt   time.Time         `json:"last_at" doc:"When something was found last."`
	ClosedAt *time.Time        `json:"closed_at,omitempty"`
	ClosedBy string            `json:"closed_by,omitempty" doc:"Id of the operator."`
	Note     string            `json:"note,omitempty" doc:"What was found out."`
}

// IncidentClose closes an incident.
type IncidentClose struct {
	Note string `json:"note" minLength:"1" maxLength:"2000" doc:"What was found out."`
}
