package replica

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/id"
)

// directoryTypes are the types of whoever signs in here, by the kinds of their ids.
var directoryTypes = map[string]string{"usr": "user", "svc": "service", "wkl": "workload", "agt": "agent", "grp": "group", "org": "organization"}

// EntityTypes are the types of whoever signs in here, by the kinds of their ids.
func EntityTypes() map[string]string { return maps.Clone(directoryTypes) }

// Kinds are the types that entities of the directory have.
func Kinds() []string { return slices.Sorted(maps.Values(directoryTypes)) }

// Principal is the entity of a principal's id.
func Principal(principalID string) (graph.Entity, bool) {
	kind := id.Kind(principalID)
	typ, ok := directoryTypes[kind]
	return graph.Entity{Type: typ, ID: principalID}, ok && id.Valid(kind, principalID)
}

// Kind is the kind of the ids of a type of whoever signs in here.
func Kind(typ string) (string, bool) {
	for kind, of := range directoryTypes {
		if of == typ {
			return kind, true
		}
	}
	return "", false
}

// OfDirectory reports whether an entity is a principal's, whether or not there is
// one of that id.
func OfDirectory(e graph.Entity) bool {
	own, ok := Principal(e.ID)
	return ok && own == e
}

const (
	active     = "active"
	mostOwners = 16 // longer than any chain of owners
)

// Unfit is the attribute of those whose memberships could not all be held.
const Unfit = "unfit"

// Gate refuses principals that may do nothing: those that there are not, or that
// are suspended, unfit or have expired, and those of an owner who is. It is the gate of
// the server and of edges alike. See principal.Live.
func Gate(g *graph.Graph, subject graph.Entity, at time.Time) string {
	if !OfDirectory(subject) {
		return ""
	}
	for e, links := subject, 0; links < mostOwners; links++ {
		var status, owner, expires string
		fits := true
		for name, v := range g.Attributes(e) {
			text, _ := v.(string)
			switch name {
			case "status":
				status = text
			case "owner":
				owner = text
			case "expires_at":
				expires = text
			case Unfit:
				fits = false
			}
		}
		switch {
		case status == "":
			return "there is nobody of this id"
		case status != active:
			return "the subject, or whom it belongs to, is " + status
		case !fits:
			return "not every membership of the subject, or of whom it belongs to, could be held; the log of the server says why"
		case expires != "":
			until, err := time.Parse(time.RFC3339Nano, expires)
			if err != nil || !at.Before(until) {
				return "the subject, or whom it belongs to, has expired"
			}
		}
		if strings.TrimSpace(owner) == "" {
			return ""
		}
		var ok bool
		if e, ok = Principal(owner); !ok {
			break
		}
	}
	return "whom the subject belongs to cannot be told"
}
