// Package web is the HTTP ground the doors stand on: routes whose handlers
// return errors, what every answer carries, what every request is held to, and
// the way out to other servers. It knows nothing of the product.
//
// A request passes Front (identity of the request, client address, security
// headers, one log line, panics), then a Mux (rate class, lease, origin checks,
// CORS), then the handler of a door. An error that a handler returns is written
// by the Fail of its door.
package web

import (
	"net/http"
)

// Handler answers a request or returns why it cannot. A handler that returns
// an error has written nothing.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Fail writes an error that a handler returned, in the words of the door's
// protocol.
type Fail func(w http.ResponseWriter, r *http.Request, err error)
