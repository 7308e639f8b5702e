package api_test

import (
	"fmt"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
)

func TestOperatorsSeeTheFilterThatAnApplicationGets(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		office(t, w, "ada")
		q := wire.AccessFilterQuestion{Subject: wire.DecisionEntity{Type: "user", ID: "ada"}, Action: "write", ResourceType: "document", Dialect: "sqlite", ID: wire.TableColumn{Column: "d.id"}}
		f := must[wire.AccessFilter](t, w.call(t, "viewer", "POST", "/access/filter", q))
		if f.Decision != "some" || f.SQL != "(`d`.`id` = ? AND CAST(`d`.`id` AS TEXT) COLLATE BINARY = ?)" || fmt.Sprint(f.Parameters) != "[plan plan]" || f.Revision != "1.9" || len(f.Policies) != 1 {
			t.Errorf("%+v", f)
		}
		q.Subject.ID = "nobody"
		if f := must[wire.AccessFilter](t, w.call(t, "viewer", "POST", "/access/filter", q)); f.Decision != "none" || f.SQL != "1 = 0" || f.Reason == "" {
			t.Errorf("%+v", f)
		}
		q.ID.Column = "id` OR 1=1 --"
		refused(t, "a column that is none", w.call(t, "viewer", "POST", "/access/filter", q), 400, "invalid_request")
		q.ID.Column, q.Attributes = "id", map[string]wire.TableColumn{"owner": {Column: "owner"}}
		refused(t, "an attribute that the schema has not", w.call(t, "viewer", "POST", "/access/filter", q), 400, "not_expressible")
		refused(t, "a realm without policies", w.inRealm(t, apptest.Neighbour, "neighbour", "POST", "/access/filter",
			`{"subject":{"type":"user","id":"a"},"action":"read","resource_type":"document","dialect":"sqlite","id":{"column":"id"}}`), 404, "no_policies")
	})
}
