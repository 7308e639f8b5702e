// Package api holds the wire types of Cardea's admin API. Every type says what
// may be sent or is answered, field by field: nothing that is not written here
// crosses the wire in either direction.
//
// Times are RFC 3339 in UTC. Identifiers are opaque. A resource has a version
// that counts its changes; it is also its ETag, and a change that carries
// If-Match is refused when somebody else changed the resource meanwhile.
package api

import "time"

// Scope is what an access token needs to use the admin API. Its audience must
// be the issuer followed by Path.
const Scope = "cardea:admin"

// Path is where the admin API is, below a realm's issuer.
const Path = "/api/v1"

// Page is one page of a list.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"Send as after to get the next page. Absent on the last page."`
}

// Problem is why a request was refused (RFC 9457). It has no type, which means
// about:blank: the title is that of the status, and code tells problems apart.
type Problem struct {
	Title     string            `json:"title" doc:"The HTTP status in words."`
	Status    int               `json:"status" doc:"The HTTP status code."`
	Code      string            `json:"code" doc:"A stable word for programs."`
	Detail    string            `json:"detail,omitempty" doc:"One sentence for people."`
	Errors    map[string]string `json:"errors,omitempty" doc:"What is wrong with which field of the request."`
	RequestID string            `json:"request_id,omitempty" doc:"The name under which the request is in the server's log."`
}

// SecretLink is a link that works once. It is shown in this answer only.
type SecretLink struct {
	URL       string    `json:"url" doc:"Whoever opens this link may do what it is for. Hand it over privately."`
	ExpiresAt time.Time `json:"expires_at"`
}
