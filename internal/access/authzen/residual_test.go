package authzen_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/authzen"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
)

func ask(subject, action, table string) string {
	return fmt.Sprintf(`{"subject":{"type":"user","id":%q},"action":{"name":%q},"resource":{"type":"record"},"table":%s}`, subject, action, table)
}

func TestTablesAreFilteredByWhatPoliciesSay(t *testing.T) {
	run(t, func(d *desk) {
		a := d.post("/residual", ask("alice", "write", `{"dialect":"postgresql","first_parameter":3,"id":"r.id","attributes":{"status":{"column":"state"}}}`)).expect("alice", 200)
		m := a.json()
		if m["decision"] != "some" || !strings.Contains(m["sql"].(string), `"r"."id" = CAST($4 AS text)`) || fmt.Sprint(m["parameters"]) == "[]" || a.Header().Get("Cardea-Revision") != "1.7" {
			t.Errorf("alice may write %s", a.Body)
		}
		if strings.Contains(m["sql"].(string), "record-1") {
			t.Errorf("a value stands in the SQL: %s", m["sql"])
		}
		if c := m["context"].(map[string]any); !strings.HasPrefix(c["id"].(string), "dec_") || c["revision"] != "1.7" {
			t.Errorf("context %v", c)
		}
		a = d.post("/residual", ask("nobody", "write", `{"dialect":"mysql","id":"id","attributes":{"status":"status"}}`)).expect("nobody", 200)
		if m := a.json(); m["decision"] != "none" || m["sql"] != "1 = 0" || m["context"].(map[string]any)["reason"] == nil {
			t.Errorf("nobody may write %s", a.Body)
		}
		if m := d.post("/residual", ask("alice", "write", `{"id":"id","attributes":{"status":"status"}}`)).expect("the tree alone", 200).json(); m["sql"] != nil || m["condition"] == nil {
			t.Errorf("without a dialect: %v", m)
		}
		// As new as the caller wants, or nothing.
		late := d.post("/residual", ask("alice", "write", `{"dialect":"sqlite","id":"id"}`), func(r *http.Request) { r.Header.Set("Min-Revision", "1.1000000") })
		if m := late.json(); late.Code != 200 || m["decision"] != "none" || m["sql"] != "1 = 0" {
			t.Errorf("a revision that was not reached: %d %s", late.Code, late.Body)
		}
		d.post("/residual", ask("alice", "write", `{"id":"id"}`), bearing("")).expect("without credentials", 401)
		own := d.realm
		d.realm = apptest.Neighbour
		d.post("/residual", ask("alice", "write", `{"id":"id"}`)).expect("a token of another realm", 401)
		d.realm = own
	})
}

func TestAColumnIsNothingButAName(t *testing.T) {
	run(t, func(d *desk) {
		for name, table := range map[string]string{
			"no table":           `null`,
			"no object":          `[]`,
			"no id":              `{"dialect":"sqlite"}`,
			"a quote":            `{"id":"id\" OR 1=1 --"}`,
			"a backquote":        "{\"id\":\"id` OR 1\"}",
			"a space":            `{"id":"a b"}`,
			"a function":         `{"id":"lower(id)"}`,
			"an empty part":      `{"id":"r..id"}`,
			"too many parts":     `{"id":"a.b.c.d"}`,
			"a long name":        `{"id":"` + strings.Repeat("a", 64) + `"}`,
			"another dialect":    `{"id":"id","dialect":"oracle"}`,
			"another type":       `{"id":{"column":"id","type":"float"}}`,
			"a type that misses": `{"id":{"column":"id","type":"boolean"},"dialect":"sqlite"}`,
			"an unknown member":  `{"id":"id","where":"1=1"}`,
			"an attribute":       `{"id":"id","attributes":{"nothing":"x"}}`,
			"a parent":           `{"id":"id","parents":{"nothing":"x"}}`,
			"a first":            `{"id":"id","first_parameter":0}`,
			"a list":             `{"id":"id","attributes":[]}`,
		} {
			d.post("/residual", ask("alice", "write", table)).expect(name, http.StatusBadRequest)
		}
		twice := strings.TrimSuffix(ask("alice", "write", `{"id":"id"}`), "}") + `,"table":{"id":"other"}}`
		d.post("/residual", twice).expect("twice", http.StatusBadRequest)
	})
}

func TestWhatNoFilterCanSayIsAnError(t *testing.T) {
	run(t, func(d *desk) {
		set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "s", Text: []byte(`entity user; entity record { tags: Set<String> }; action write appliesTo { principal: user, resource: record };`)},
			Policies: []policy.File{{Name: "p", Text: []byte(`@id("all") permit (principal, action, resource); @id("secret") forbid (principal, action, resource) when { resource.tags.contains("secret") };`)}}})
		if err != nil {
			t.Fatal(err)
		}
		d.set, d.graph = set, graph.Empty()
		d.post("/residual", ask("alice", "write", `{"dialect":"sqlite","id":"id","attributes":{"tags":"tags"}}`)).expect("a set in a column", 400, "not_expressible", `secret`)
		// Nothing is stored about any record, so the forbid cannot be judged for any row.
		m := d.post("/residual", ask("alice", "write", `{"dialect":"sqlite","id":"id"}`)).expect("tags that nobody knows", 200).json()
		if m["decision"] != "none" {
			t.Errorf("%v", m)
		}
	})
}

// A realm that has more facts than are held is asked by what the question needs; this
// one has no policies of its own.
func TestTablesOfLargeRealmsAreFiltered(t *testing.T) {
	run(t, func(d *desk) {
		d.Snapshot = func(context.Context, string, audit.Position) (*policy.Snapshot, audit.Position, error) {
			return nil, audit.Position{}, fault.New(fault.Unavailable, authzen.CodeTooMany, "too many")
		}
		m := d.post("/residual", ask("alice", "write", `{"dialect":"sqlite","id":"id"}`)).expect("a large realm", 200).json()
		if c := m["context"].(map[string]any); m["decision"] != "none" || m["sql"] != "1 = 0" || c["reason"] != "the realm has no policies" {
			t.Errorf("%v", m)
		}
	})
}
