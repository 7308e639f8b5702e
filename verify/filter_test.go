package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

func TestFilter(t *testing.T) {
	p := newPoint(t)
	d := p.client(t)
	p.answer = `{"decision":"some","sql":"x = ? AND n < ?","parameters":["a",9007199254740991,"9007199254740993"],"condition":{"op":"all"},"context":{"id":"dec_1","revision":"1.7"}}`
	q := Question{Subject: Entity{Type: "user", ID: "a"}, Action: "view", Resource: Entity{Type: "doc", ID: "ignored", Properties: map[string]any{"n": 1}}, Token: "t", MinRevision: "1.5"}
	table := Table{Dialect: "sqlite", ID: Column{Name: "d.id"}, Attributes: map[string]Column{"due": {"due", "epoch_s"}}, Parents: map[string]Column{"folder": {Name: "folder_id"}}}
	f, err := d.Filter(t.Context(), q, table)
	if err != nil || f.Decision != "some" || f.SQL != "x = ? AND n < ?" || fmt.Sprintf("%T %T %T", f.Args...) != "string int64 string" || f.ID != "dec_1" || f.Revision != "1.7" {
		t.Fatalf("%+v %v", f, err)
	}
	asked, _ := json.Marshal(p.asked[0])
	if want := `{"action":{"name":"view"},"context":{"access_token":"t"},"path":"/realms/acme/access/v1/residual","resource":{"type":"doc"},"subject":{"id":"a","type":"user"},` +
		`"table":{"attributes":{"due":{"column":"due","type":"epoch_s"}},"dialect":"sqlite","id":{"column":"d.id"},"parents":{"folder":{"column":"folder_id"}}}}`; string(asked) != want {
		t.Errorf("asked %s\nwant  %s", asked, want)
	}
	p.answer = `{"decision":"none","sql":"1 = 0","condition":{"op":"false"},"context":{"step_up":{"acr_values":"aal2","max_age":60}}}`
	if f, err = d.Filter(t.Context(), q, table); err != nil || f.StepUp == nil || f.StepUp.ACR[0] != "aal2" {
		t.Errorf("%+v %v", f, err)
	}
	for _, wrong := range []string{`{}`, `{"decision":"some","condition":{}}`, `{"decision":true,"sql":"1 = 1"}`, `{"decision":"some","sql":"x = ?","parameters":[1.5]}`, `{"decision":"some","sql":"x = ?","parameters":[{}]}`, `{"decision":"maybe","sql":"1 = 1"}`} {
		p.answer = wrong
		if f, err := d.Filter(t.Context(), q, table); !errors.Is(err, ErrUndecided) || f.SQL != "" {
			t.Errorf("%s: %+v %v", wrong, f, err)
		}
	}
	p.status, p.answer = 400, `{"code":"not_expressible","detail":"policy \"secret\" cannot be written"}`
	if _, err := d.Filter(t.Context(), q, table); !errors.Is(err, ErrNotExpressible) || !errors.Is(err, ErrUndecided) {
		t.Errorf("not expressible: %v", err)
	}
}
