package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
)

const writeActive = `{"set":[{"entity":{"type":"payment","id":"17"},"name":"status","value":"active"},{"entity":{"type":"payment","id":"17"},"name":"amount","value":9007199254740993}],
	"add":[{"subject":{"type":"user","id":"a:b#c@d"},"relation":"clerk","object":{"type":"payment","id":"17"},"expires_at":"2099-01-01T00:00:00Z"}]}`

// An application writes its own facts with the least role there is for it, and
// reads them back as they were.
func TestApplicationsWriteFacts(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		done := must[wire.AccessWritten](t, w.call(t, "application", "POST", "/access/changes", writeActive))
		if done.Revision == "" || done.Repeated {
			t.Errorf("%+v", done)
		}
		attributes := must[wire.FactPage[wire.Attribute]](t, w.call(t, "viewer", "GET", "/access/attributes?entity_type=payment&entity_id=17", nil))
		if len(attributes.Items) != 2 || string(attributes.Items[0].Value) != "9007199254740993" || string(attributes.Items[1].Value) != `"active"` {
			t.Errorf("%+v", attributes)
		}
		relations := must[wire.FactPage[wire.Relation]](t, w.call(t, "application", "GET", "/access/relations?subject_type=user&subject_id=a:b%23c@d", nil))
		if len(relations.Items) != 1 || relations.Items[0].Subject.ID != "a:b#c@d" || relations.Items[0].ExpiresAt == nil || relations.Revision == "" {
			t.Errorf("%+v", relations)
		}
		refused(t, "an application lists people", w.call(t, "application", "GET", "/users", nil), 403, "not_permitted")
		refused(t, "a viewer writes", w.call(t, "viewer", "POST", "/access/changes", writeActive), 403, "not_permitted")

		// The realm is that of the token; the other one sees nothing of it.
		rec := w.inRealm(t, apptest.Neighbour, "neighbour", "GET", "/access/relations", "")
		if other := must[wire.FactPage[wire.Relation]](t, rec); len(other.Items) > 0 {
			t.Errorf("the neighbour sees %+v", other)
		}
		refused(t, "a realm in the body", w.call(t, "application", "POST", "/access/changes", `{"realm":"neighbour",`+writeActive[1:]), 400, "invalid_json")

		for range 2 {
			done = must[wire.AccessWritten](t, w.call(t, "application", "POST", "/access/changes", writeActive, "Idempotency-Key", "batch-1"))
		}
		if !done.Repeated {
			t.Error("the second time was not the same batch")
		}
		refused(t, "another batch under the key", w.call(t, "application", "POST", "/access/changes", `{"drop":[{"type":"payment","id":"17"}]}`, "Idempotency-Key", "batch-1"), 409, "idempotency_key_reused")

		cas := `{"require":[{"attribute":{"entity":{"type":"payment","id":"17"},"name":"status","value":%q}}],"set":[{"entity":{"type":"payment","id":"17"},"name":"status","value":"canceled"}]}`
		must[wire.AccessWritten](t, w.call(t, "application", "POST", "/access/changes", fmt.Sprintf(cas, "active")))
		refused(t, "what was based on older facts", w.call(t, "application", "POST", "/access/changes", fmt.Sprintf(cas, "active")), 412, "fact_not_as_required")
		refused(t, "changed meanwhile", w.call(t, "application", "POST", "/access/changes", `{"unchanged_since":"`+relations.Revision+`",`+writeActive[1:]), 412, "fact_changed")
	})
}

// What is no fact is a 400 that says where, and costs nothing.
func TestWhatIsNoFactIsRefusedAtTheDoor(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		e1 := `{"type":"doc","id":"1"}`
		for name, c := range map[string]struct {
			body, code string
			status     int
		}{
			"empty":             {`{}`, "batch_empty", 400},
			"no id":             {`{"drop":[{"type":"doc"}]}`, "invalid_request", 422},
			"bad type":          {`{"drop":[{"type":"do c","id":"1"}]}`, "fact_invalid", 400},
			"null":              {`{"set":[{"entity":` + e1 + `,"name":"x","value":null}]}`, "fact_invalid", 400},
			"no value":          {`{"set":[{"entity":` + e1 + `,"name":"x"}]}`, "fact_invalid", 400},
			"deep":              {`{"set":[{"entity":` + e1 + `,"name":"x","value":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}]}`, "fact_invalid", 400},
			"very deep":         {`{"set":[{"entity":` + e1 + `,"name":"x","value":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}]}`, "invalid_json", 400},
			"twice":             {`{"set":[{"entity":` + e1 + `,"name":"x","value":{"a":1,"a":2}}]}`, "invalid_json", 400},
			"itself":            {`{"add":[{"subject":` + e1 + `,"relation":"parent","object":` + e1 + `}]}`, "fact_invalid", 400},
			"a revision of old": {`{"unchanged_since":"yesterday","drop":[` + e1 + `]}`, "revision_invalid", 400},
			"a group's members": {`{"add":[{"subject":` + e1 + `,"relation":"member","object":{"type":"group","id":"grp_01h455vb4pex5vsknk084sn02q"}}]}`, "fact_invalid", 400},
			"into a group":      {`{"add":[{"subject":{"type":"user","id":"usr_01h455vb4pex5vsknk084sn02q"},"relation":"parent","object":{"type":"group","id":"grp_01h455vb4pex5vsknk084sn02q"}}]}`, "fact_invalid", 400},
			"many":              {`{"drop":[` + strings.TrimSuffix(strings.Repeat(e1+",", 1001), ",") + `]}`, "invalid_request", 422},
		} {
			rec := w.call(t, "application", "POST", "/access/changes", c.body)
			if rec.Code != c.status && !(c.status == 422 && rec.Code == http.StatusBadRequest) || !strings.Contains(rec.Body.String(), c.code) {
				t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
			}
		}
		if page := must[wire.FactPage[wire.Relation]](t, w.call(t, "viewer", "GET", "/access/relations", nil)); len(page.Items) > 0 {
			t.Errorf("something was written: %+v", page)
		}
	})
}
