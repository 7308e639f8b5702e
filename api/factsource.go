package api

import "time"

// FactSource is where facts are pulled from, and how that goes.
type FactSource struct {
	ID        string     `json:"id"`
	Version   int64      `json:"version"`
	DueAt     *time.Time `json:"due_at,omitempty" doc:"When it is pulled next."`
	PulledAt  *time.Time `json:"pulled_at,omitempty" doc:"When it was tried last."`
	GoodAt    *time.Time `json:"good_at,omitempty" doc:"When that last worked."`
	Failures  int64      `json:"failures" doc:"In a row."`
	LastError string     `json:"last_error,omitempty"`
	Facts     int64      `json:"facts" doc:"Given by the last good pull."`
	Added     int64      `json:"added" doc:"New or other in the last good pull."`
	Removed   int64      `json:"removed" doc:"Gone in the last good pull."`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
	FactSourceSettings
}

// FactSourceSettings is what an operator decides about a source.
type FactSourceSettings struct {
	Name    string `json:"name" maxLength:"63" doc:"Lower-case letters, digits and any of _ -."`
	Kind    string `json:"kind" enum:"http,postgres" doc:"http: an address that answers with one JSON object a line; postgres: a query of another database. It never changes."`
	URL     string `json:"url,omitempty" maxLength:"2048" doc:"Of http."`
	Query   string `json:"query,omitempty" maxLength:"16384" doc:"Of postgres: a SELECT of subject_type, subject_id, relation, object_type, object_id and perhaps expires_at, or of entity_type, entity_id, name and value."`
	Every   int64  `json:"every,omitempty" minimum:"0" maximum:"2592000" doc:"Seconds from pull to pull, at least 60; 300 if 0."`
	Shrink  int64  `json:"shrink,omitempty" minimum:"0" maximum:"100" doc:"How many percent of its facts one pull may remove; what removes more changes nothing. 50 if 0."`
	Enabled bool   `json:"enabled" doc:"Pulled by schedule."`
}

// FactSourcePut sets a source.
type FactSourcePut struct {
	FactSourceSettings
	Secret string `json:"secret,omitempty" maxLength:"4096" writeOnly:"true" doc:"Of http: a bearer token, if it wants one. Of postgres: postgres://user:password@host:5432/name of a user that may only read. It is sealed and never shown; empty keeps what is known."`
}

// FactSourcePull is the job that pulls a source.
type FactSourcePull struct {
	Job string `json:"job"`
}
