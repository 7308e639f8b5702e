package authzen

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
)

// Headers of the door, in canonical form.
const (
	headerRequest  = "X-Request-Id"
	headerMin      = "Min-Revision"
	headerRevision = "Cardea-Revision"
)

// maxRequestID is how long a request's name may be, in bytes.
const maxRequestID = 256

// echo gives the caller's name of the request back (AuthZEN 1.0, section 10.1.4),
// and returns it.
func echo(w http.ResponseWriter, r *http.Request) (string, error) {
	sent := r.Header[headerRequest]
	if len(sent) == 0 {
		return "", nil
	}
	if len(sent) > 1 || len(sent[0]) > maxRequestID {
		return "", invalid("X-Request-ID may be sent once, with at most %d bytes", maxRequestID)
	}
	w.Header()[headerRequest] = sent[:1:1]
	return sent[0], nil
}

// minRevision is how new the state must be on which the caller wants to be
// answered.
func minRevision(r *http.Request) (audit.Position, error) {
	sent := r.Header[headerMin]
	if len(sent) == 0 {
		return audit.Position{}, nil
	}
	at, err := audit.ParsePosition(sent[0])
	if err != nil || len(sent) > 1 {
		return audit.Position{}, invalid("Min-Revision must be a revision that was answered before, such as 1.4711")
	}
	return at, nil
}

// schemeOf is Bearer, DPoP, or another scheme in which a request presents a
// credential, "" if it presents none.
func schemeOf(r *http.Request) string {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	for _, known := range []string{"Bearer", "DPoP"} {
		if strings.EqualFold(scheme, known) {
			return known
		}
	}
	return scheme
}
