package api_test

import (
	"context"
	"net/http"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/realm"
)

// Operators see what wants to be looked into, in their own realm, with its
// events, and close it with what they found out.
func TestIncidentsAreLookedInto(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		open := func(in, who string) (id string) {
			t.Helper()
			if err := e.DB.Update(context.Background(), in, func(tx *db.Tx) (err error) {
				id, err = risk.Open(tx, audit.Actor{Kind: "person", ID: who}, risk.Report{Principal: who, Finding: risk.NotMine()})
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return id
		}
		id := open(realm.Default, ada.ID)
		foreign := open(apptest.Neighbour, "usr_somebody")
		if again := open(realm.Default, ada.ID); again != id {
			t.Errorf("a second incident %s beside %s", again, id)
		}
		list := must[wire.Page[wire.Incident]](t, w.call(t, "viewer", http.MethodGet, "/incidents?state=open&user="+ada.ID, nil))
		if len(list.Items) != 1 || list.Items[0].ID != id || list.Items[0].Findings != 2 || list.Items[0].Reason != "risk.not_me" {
			t.Fatalf("listed: %+v", list.Items)
		}
		events := must[wire.Page[wire.Event]](t, w.call(t, "viewer", http.MethodGet, "/incidents/"+id+"/events?limit=2", nil))
		if len(events.Items) != 2 || events.Next == "" || events.Items[0].Action != "incident.continue" || events.Items[1].Action != "incident.open" {
			t.Errorf("events: %+v", events)
		}
		note := wire.IncidentClose{Note: "all is well"}
		if code, _ := w.code(t, "viewer", http.MethodPost, "/incidents/"+id+"/close", note); code != http.StatusForbidden {
			t.Errorf("a viewer closes it: %d", code)
		}
		closed := must[wire.Incident](t, w.call(t, "helpdesk", http.MethodPost, "/incidents/"+id+"/close", note))
		if closed.State != "closed" || closed.Note != "all is well" || closed.ClosedAt == nil {
			t.Errorf("closed: %+v", closed)
		}
		if code, _ := w.code(t, "helpdesk", http.MethodPost, "/incidents/"+id+"/close", note); code != http.StatusConflict {
			t.Errorf("closed twice: %d", code)
		}
		for _, path := range []string{"/incidents/" + foreign, "/incidents/" + foreign + "/events"} {
			if code, _ := w.code(t, "owner", http.MethodGet, path, nil); code != http.StatusNotFound {
				t.Errorf("another realm's %s: %d", path, code)
			}
		}
		if code, _ := w.code(t, "helpdesk", http.MethodPost, "/incidents/"+foreign+"/close", note); code != http.StatusNotFound {
			t.Errorf("another realm's incident is closed: %d", code)
		}
	})
}

// What keeps somebody's account safe is released by nobody with fewer rights
// than theirs.
func TestTheHelpdeskReleasesNoOwner(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		ada := e.Person(t, realm.Default, "ada@example.com")
		if _, err := w.Operators.Assign(t.Context(), audit.System, realm.Default, ada.ID, 0, operator.Owner); err != nil {
			t.Fatal(err)
		}
		var id string
		if err := e.DB.Update(t.Context(), realm.Default, func(tx *db.Tx) (err error) {
			id, err = risk.Open(tx, audit.System, risk.Report{Principal: ada.ID, Finding: risk.NotMine()})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		note := wire.IncidentClose{Note: "all is well"}
		for _, who := range []string{"helpdesk", "admin"} {
			refused(t, who, w.call(t, who, http.MethodPost, "/incidents/"+id+"/close", note), http.StatusForbidden, "rights_exceeded")
		}
		if closed := must[wire.Incident](t, w.call(t, "owner", http.MethodPost, "/incidents/"+id+"/close", note)); closed.State != "closed" {
			t.Errorf("closed: %+v", closed)
		}
	})
}
