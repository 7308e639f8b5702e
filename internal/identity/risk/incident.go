package risk

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// State says whether somebody still has to look into an incident.
type State string

// The states of an incident.
const (
	Opened State = "open"
	Closed State = "closed"
)

// incidentKept is how long a closed incident stays readable. Its events stay for ever.
const incidentKept = 730 * 24 * time.Hour

// Incident is something that operators have to look into.
type Incident struct {
	ID        string
	Principal string // whose account it is about, or ""
	Network   string // whose tries it is about, or ""
	Detector  string // what was found first
	Reason    string // key of the catalogue
	Args      map[string]string
	Findings  int64 // how often something was found while it was open
	State     State
	Opened    time.Time
	Last      time.Time // when something was found last
	Closed    time.Time
	ClosedBy  string // id of the operator
	Note      string // what they found out
}

// Report is what an incident is opened for. Principal or Network must be set.
type Report struct {
	Principal, Network string
	Finding            Finding
}

// Open opens an incident in a transaction, or adds to the one that is open for
// the same person or network. It returns its id.
func Open(tx *db.Tx, by audit.Actor, r Report) (string, error) {
	subject := r.Principal
	if subject == "" {
		subject = r.Network
	}
	if subject == "" {
		return "", fault.New(fault.Invalid, "incident_invalid", "an incident is about a person or a network")
	}
	wanted := id.New("inc", tx.Now)
	i, err := joinIncident(tx, subject, &Incident{ID: wanted, Principal: r.Principal, Network: r.Network, Detector: r.Finding.Detector,
		Reason: r.Finding.Reason, Args: r.Finding.Args})
	if err != nil {
		return "", err
	}
	action := "incident.open"
	if i.ID != wanted {
		action = "incident.continue"
	}
	audit.Append(tx, by, audit.Event{Action: action, TargetType: "incident", Target: i.ID,
		Data: map[string]any{"principal": r.Principal, "network": r.Network, "detector": r.Finding.Detector, "reason": r.Finding.Reason, "args": r.Finding.Args}})
	return i.ID, nil
}

// NotMine is the finding of a person who says that something was not them.
func NotMine() Finding {
	return Finding{Detector: NotMe, Reason: "risk.not_me", Args: map[string]string{}}
}

// Filter says which incidents to list. Zero fields do not restrict.
type Filter struct {
	State     State
	Principal string
	Detector  string
}

// Incidents returns up to limit incidents of a realm, the newest first, beginning
// behind the id after, and the id to go on behind, or "" at the end.
func (g *Guard) Incidents(ctx context.Context, realm string, f Filter, after string, limit int) ([]*Incident, string, error) {
	if after != "" && !id.Valid("inc", after) {
		return nil, "", fault.New(fault.Invalid, "page_invalid", "the page is not one that was given out").WithField("page", "is not one that was given out")
	}
	return db.Page(ctx, g.DB, realm, limit, 500, func(tx *db.Tx, limit int) ([]*Incident, error) { return listIncidents(tx, f, after, limit) },
		func(i *Incident) string { return i.ID })
}

// Incident reads an incident, or returns fault.NotFound.
func (g *Guard) Incident(ctx context.Context, realm, id string) (i *Incident, err error) {
	err = g.DB.View(ctx, realm, func(tx *db.Tx) error {
		i, err = incidentByID(tx, id)
		return err
	})
	return i, err
}

const maxNote = 2000

// Close closes an incident with what was found out, and releases what it held.
// One that is closed already is fault.Conflict.
func (g *Guard) Close(ctx context.Context, by audit.Actor, realm, id, note string) (i *Incident, err error) {
	note = strings.TrimSpace(note)
	odd := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if note == "" || utf8.RuneCountInString(note) > maxNote || !utf8.ValidString(note) || strings.ContainsFunc(note, odd) {
		return nil, fault.New(fault.Invalid, "note_invalid", "say in 1 to %d characters what you found out", maxNote).WithField("note", "1 to 2000 characters")
	}
	err = g.DB.Update(ctx, realm, func(tx *db.Tx) error {
		if i, err = incidentByID(tx, id); err != nil {
			return err
		}
		closed, err := closeIncident(tx, id, by.ID, note)
		if err != nil {
			return err
		}
		if !closed {
			return fault.New(fault.Conflict, "incident_closed", "incident %q is closed already", id)
		}
		released, err := releaseIncident(tx, id)
		if err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "incident.close", TargetType: "incident", Target: id,
			Data: map[string]any{"principal": i.Principal, "network": i.Network, "note": note, "released": released}})
		i, err = incidentByID(tx, id)
		return err
	})
	return i, err
}

func noIncident(id string) error {
	return fault.New(fault.NotFound, "incident_unknown", "there is no incident %q", id)
}
