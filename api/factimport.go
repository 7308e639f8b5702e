package api

import "time"

// FactImport is a file of facts that the server writes by itself.
type FactImport struct {
	ID        string     `json:"id"`
	Name      string     `json:"name,omitempty"`
	State     string     `json:"state" enum:"open,running,done,failed,canceled" doc:"open: parts are being sent. failed: one cannot be written; what was written before stays, and it can be started again."`
	Parts     int64      `json:"parts" doc:"How many there are, once it is started."`
	DoneParts int64      `json:"done_parts"`
	Facts     int64      `json:"facts"`
	DoneFacts int64      `json:"done_facts"`
	LastError string     `json:"last_error,omitempty"`
	By        Actor      `json:"by"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
	Revision  string     `json:"revision,omitempty" doc:"When it is done: from this revision on all of it holds, on every node."`
}

// FactImportCreate begins an import.
type FactImportCreate struct {
	Name string `json:"name,omitempty" maxLength:"200" doc:"Such as the name of the file."`
}

// FactImportPart is a part of a file: a batch of its own.
type FactImportPart struct {
	Lines string `json:"lines" minLength:"1" maxLength:"524288" doc:"At most 1,000 relations and attributes, one JSON object a line."`
}

// FactImportPartTaken says that a part is in order and here.
type FactImportPartTaken struct {
	Facts int64 `json:"facts"`
}

// FactImportStart says that everything was sent.
type FactImportStart struct {
	Parts int64 `json:"parts" minimum:"1" maximum:"20000" doc:"How many parts there are. They are numbered from 1."`
}
