package authzen_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/authzen"
)

// The certification scenario of AuthZEN 1.0, level by level.

const (
	alice   = `"subject":{"type":"user","id":"alice"}`
	bob     = `"subject":{"type":"user","id":"bob"}`
	boss    = `"subject":{"type":"user","id":"bob","properties":{"role":"admin"}}`
	read    = `"action":{"name":"read"}`
	write   = `"action":{"name":"write"}`
	active  = `"resource":{"type":"record","id":"record-1"}`
	stale   = `"resource":{"type":"record","id":"record-1","properties":{"status":"archived"}}`
	stored  = `"resource":{"type":"record","id":"record-2","properties":{"status":"archived"}}`
	someone = `"subject":{"type":"user"}`
	some    = `"resource":{"type":"record"}`
)

func object(members ...string) string { return "{" + strings.Join(members, ",") + "}" }

// PD-01: what is unknown is denied, with the reason, in a 200.
func TestBasicLevel(t *testing.T) {
	run(t, func(d *desk) {
		for _, c := range []struct {
			name string
			body string
			want bool
		}{
			{"1", object(alice, read, active), true},
			{"2", object(alice, write, active), true},
			{"3", object(bob, read, active), true},
			{"4", object(bob, write, active), false},
			{"5", object(alice, write, stale), false},
			{"6", object(boss, write, stale), true},
			{"7", object(alice, `"action":{"name":"delete","properties":{"soft":true}}`, active), true},
			{"8", object(alice, `"action":{"name":"delete","properties":{"soft":false}}`, active), false},
			{"unknown fields", object(alice, read, active, `"weather":{"sky":[1,2,{"a":null}]}`), true},
			{"more properties", object(`"subject":{"type":"user","id":"alice","nick":"al","properties":{"hair":"red","n":-1.5e3}}`, read, active), true},
			{"an unknown type", object(`"subject":{"type":"robot","id":"alice"}`, read, active), false},
			{"an unknown action", object(alice, `"action":{"name":"paint"}`, active), false},
			{"an unknown resource", object(alice, read, `"resource":{"type":"record","id":"record-77"}`), false},
			{"a property of a wrong type", object(alice, write, `"resource":{"type":"record","id":"record-1","properties":{"status":7}}`), false},
		} {
			for _, context := range []string{"", `"context":{}`, `"context":{"time":"1985-10-26T01:22-07:00","deep":{"er":[true]}}`} {
				body := c.body
				if context != "" {
					body = strings.TrimSuffix(body, "}") + "," + context + "}"
				}
				for range 2 { // the same question gives the same answer
					a := d.post("/evaluation", body)
					if got := a.decision(); got != c.want {
						t.Errorf("%s: %v, want %v: %s", c.name, got, c.want, a.Body)
					}
					if told := a.json()["context"].(map[string]any); told["reasons"] == nil || told["revision"] != "1.7" || !strings.HasPrefix(told["id"].(string), "dec_") {
						t.Errorf("%s: context %v", c.name, told)
					}
				}
			}
		}
	})
}

func TestWhatIsNoQuestionIsABadRequest(t *testing.T) {
	run(t, func(d *desk) {
		deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
		for name, body := range map[string]string{
			"no subject":                   object(read, active),
			"no action":                    object(alice, active),
			"no resource":                  object(alice, read),
			"no subject type":              object(`"subject":{"id":"alice"}`, read, active),
			"no subject id":                object(`"subject":{"type":"user"}`, read, active),
			"no action name":               object(alice, `"action":{}`, active),
			"no resource type":             object(alice, read, `"resource":{"id":"record-1"}`),
			"no resource id":               object(alice, read, `"resource":{"type":"record"}`),
			"subject is a text":            object(`"subject":"alice"`, read, active),
			"subject is null":              object(`"subject":null`, read, active),
			"subject is a list":            object(`"subject":["user","alice"]`, read, active),
			"type is a number":             object(`"subject":{"type":1,"id":"alice"}`, read, active),
			"id is a number":               object(`"subject":{"type":"user","id":1}`, read, active),
			"id is null":                   object(`"subject":{"type":"user","id":null}`, read, active),
			"id is empty":                  object(`"subject":{"type":"user","id":""}`, read, active),
			"action is a text":             object(alice, `"action":"read"`, active),
			"name is a bool":               object(alice, `"action":{"name":true}`, active),
			"resource is a number":         object(alice, read, `"resource":7`),
			"properties are a list":        object(`"subject":{"type":"user","id":"alice","properties":[]}`, read, active),
			"action properties are a text": object(alice, `"action":{"name":"read","properties":"x"}`, active),
			"context is a text":            object(alice, read, active, `"context":"here"`),
			"context is a list":            object(alice, read, active, `"context":[]`),
			"malformed":                    `{"subject":`,
			"a comma too many":             object(alice, read, active) + ",",
			"a comma before the end":       `{"a":1,}`,
			"two values":                   object(alice, read, active) + "{}",
			"not an object":                `[1]`,
			"a text":                       `"x"`,
			"empty":                        "",
			"blank":                        "  \n",
			"a key twice":                  object(alice, alice, read, active),
			"an id twice":                  object(`"subject":{"type":"user","id":"bob","id":"alice"}`, read, active),
			"a property twice":             object(alice, write, `"resource":{"type":"record","id":"record-1","properties":{"status":"active","status":"archived"}}`),
			"not UTF-8":                    object("\"subject\":{\"type\":\"user\",\"id\":\"al\xffice\"}", read, active),
			"half a surrogate pair":        object(`"subject":{"type":"user","id":"\ud800"}`, read, active),
			"too deep":                     object(alice, read, active, `"context":`+deep),
			"too deep where unknown":       object(alice, read, active, `"x":`+deep),
			"too long an id":               object(`"subject":{"type":"user","id":"`+strings.Repeat("a", 2000)+`"}`, read, active),
			"too large":                    object(alice, read, active, `"x":"`+strings.Repeat("a", 200<<10)+`"`),
			"too many members":             object(alice, read, active, `"context":{`+manyMembers(600)+`}`),
		} {
			d.post("/evaluation", body).expect(name, http.StatusBadRequest)
		}
		for name, change := range map[string]func(r *http.Request){
			"no content type":       func(r *http.Request) { r.Header.Del("Content-Type") },
			"a form":                func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
			"plain text":            func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
			"compressed":            func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
			"a revision of nobody":  func(r *http.Request) { r.Header.Set("Min-Revision", "tomorrow") },
			"an endless request id": func(r *http.Request) { r.Header.Set("X-Request-ID", strings.Repeat("x", 5000)) },
		} {
			d.post("/evaluation", object(alice, read, active), change).expect(name, http.StatusBadRequest)
		}
		d.post("/evaluation", object(alice, read, active), func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }).expect("with a charset", 200)
	})
}

func manyMembers(n int) string {
	var all []string
	for i := range n {
		all = append(all, `"`+strings.Repeat("k", i+1)+`":1`)
	}
	return strings.Join(all, ",")
}

func TestBatchLevel(t *testing.T) {
	run(t, func(d *desk) {
		batch := func(members ...string) answer { return d.post("/evaluations", object(members...)) }
		same := func(name string, a answer, want ...bool) {
			t.Helper()
			if got := a.decisions(); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v: %s", name, got, want, a.Body)
			}
		}
		same("order is kept", batch(`"evaluations":[`+object(alice, read, active)+`,`+object(bob, write, active)+`,`+object(bob, read, active)+`]`), true, false, true)
		same("defaults are replaced as a whole", batch(boss, write, stale,
			`"evaluations":[{},{"resource":{"type":"record","id":"record-1"}},{"subject":{"type":"user","id":"carol"}},{"subject":{"type":"user","id":"alice"},"resource":{"type":"record","id":"record-1"}}]`), true, false, false, true)
		same("an item that is none is denied in its place", batch(alice, read, `"evaluations":[`+object(active)+`,{},7,{"resource":"record-1"},{"action":{"name":1},"resource":{"type":"record","id":"record-1"}},`+object(active)+`]`),
			true, false, false, false, false, true)
		three := `"evaluations":[` + object(active) + `,` + object(write, active) + `,` + object(active) + `]`
		same("execute_all", batch(bob, read, three, `"options":{"evaluations_semantic":"execute_all","another":1}`), true, false, true)
		same("deny_on_first_deny", batch(bob, read, three, `"options":{"evaluations_semantic":"deny_on_first_deny"}`), true, false)
		same("permit_on_first_permit", batch(bob, read, three, `"options":{"evaluations_semantic":"permit_on_first_permit"}`), true)
		same("an error is a deny", batch(alice, read, `"evaluations":[{},`+object(active)+`]`, `"options":{"evaluations_semantic":"deny_on_first_deny"}`), false)
		same("and never a permit", batch(alice, read, `"evaluations":[{},`+object(active)+`,{}]`, `"options":{"evaluations_semantic":"permit_on_first_permit"}`), false, true)
		batch(alice, read, `"evaluations":[{}]`).expect("what is wrong is said", 200, `"status":400`, "resource is missing")
		for name, a := range map[string]answer{"no items": batch(alice, read, active), "an empty list": batch(alice, read, active, `"evaluations":[]`)} {
			if !a.decision() {
				t.Errorf("%s: %s", name, a.Body)
			}
		}
		for name, a := range map[string]answer{
			"neither items nor a question": batch(alice, read),
			"items are an object":          batch(alice, read, active, `"evaluations":{}`),
			"an unknown semantic":          batch(alice, read, active, three, `"options":{"evaluations_semantic":"guess"}`),
			"a semantic of a wrong type":   batch(alice, read, active, three, `"options":{"evaluations_semantic":1}`),
			"options are a list":           batch(alice, read, active, three, `"options":[]`),
			"a batch without an end":       d.post("/evaluations", `{"evaluations":[{}`),
			"too many items":               batch(alice, read, `"evaluations":[`+strings.TrimSuffix(strings.Repeat(object(active)+",", 1001), ",")+`]`),
		} {
			a.expect(name, http.StatusBadRequest)
		}
	})
}

// PD-03 at the door: a search finds exactly what the same question permits.
func TestSearchLevel(t *testing.T) {
	run(t, func(d *desk) {
		for _, c := range []struct {
			name, path, body string
			want             []string
		}{
			{"users who can read record-1", "/search/subject", object(someone, read, active), []string{"alice", "bob"}},
			{"records alice can read", "/search/resource", object(alice, read, some), []string{"record-1"}},
			{"actions of alice on record-1", "/search/action", object(alice, active), []string{"read", "write"}},
			{"users who can write record-2 sent as archived", "/search/subject", object(someone, write, stored), []string{"bob"}},
			{"records bob sent as admin can write", "/search/resource", object(boss, write, some), []string{"record-2"}},
			{"actions of bob sent as admin on record-2", "/search/action", object(boss, stored), []string{"write"}},
			{"an id of who is sought is ignored", "/search/subject", object(`"subject":{"type":"user","id":7}`, read, active), []string{"alice", "bob"}},
			{"an id of what is sought is ignored", "/search/resource", object(alice, read, `"resource":{"type":"record","id":"record-2"}`), []string{"record-1"}},
			{"an action is ignored", "/search/action", object(alice, active, `"action":7`), []string{"read", "write"}},
			{"nobody", "/search/subject", object(someone, `"action":{"name":"paint"}`, active), nil},
		} {
			a := d.post(c.path, c.body)
			got, next := a.found()
			if !slices.Equal(got, c.want) || next != "" {
				t.Errorf("%s: %q %q, want %q", c.name, got, next, c.want)
			}
		}
		for name, c := range map[string][2]string{
			"no type of subject":  {"/search/subject", object(`"subject":{}`, read, active)},
			"no subject":          {"/search/subject", object(read, active)},
			"a type is a number":  {"/search/subject", object(`"subject":{"type":5,"id":5}`, read, active)},
			"no action":           {"/search/subject", object(someone, active)},
			"no resource id":      {"/search/subject", object(someone, read, some)},
			"no type of resource": {"/search/resource", object(alice, read, `"resource":{"id":"record-1"}`)},
			"no subject id":       {"/search/resource", object(someone, read, some)},
			"no resource":         {"/search/action", object(alice)},
			"page is a list":      {"/search/action", object(alice, active, `"page":[]`)},
			"limit is negative":   {"/search/action", object(alice, active, `"page":{"limit":-1}`)},
			"limit is a text":     {"/search/action", object(alice, active, `"page":{"limit":"2"}`)},
			"token is a number":   {"/search/action", object(alice, active, `"page":{"token":2}`)},
			"malformed":           {"/search/action", `{`},
		} {
			d.post(c[0], c[1]).expect(name, http.StatusBadRequest)
		}
	})
}

func TestDiscoveryLevel(t *testing.T) {
	run(t, func(d *desk) {
		m := d.metadata()
		for member, path := range map[string]string{"policy_decision_point": "", "access_evaluation_endpoint": "/access/v1/evaluation", "access_evaluations_endpoint": "/access/v1/evaluations",
			"search_subject_endpoint": "/access/v1/search/subject", "search_resource_endpoint": "/access/v1/search/resource", "search_action_endpoint": "/access/v1/search/action"} {
			if m[member] != d.issuer()+path {
				t.Errorf("%s is %v", member, m[member])
			}
		}
		claims := d.signed(m["signed_metadata"].(string))
		for member, value := range m {
			if member != "signed_metadata" && claims[member] != value {
				t.Errorf("signed %s is %v, want %v", member, claims[member], value)
			}
		}
		if claims["iss"] != d.issuer() || claims["signed_metadata"] != nil {
			t.Errorf("signed: %v", claims)
		}
		d.realm = "neighbour"
		if m := d.metadata(); m["policy_decision_point"] != d.issuer() {
			t.Errorf("the neighbour's is %v", m["policy_decision_point"])
		}
	})
}

func TestRequestIDsComeBack(t *testing.T) {
	run(t, func(d *desk) {
		named := func(r *http.Request) { r.Header.Set("X-Request-ID", "bfe9eb29 ä") }
		for name, a := range map[string]answer{
			"an answer":      d.post("/evaluation", object(alice, read, active), named),
			"a batch":        d.post("/evaluations", object(alice, read, active), named),
			"a search":       d.post("/search/action", object(alice, active), named),
			"a bad request":  d.post("/evaluation", "{", named),
			"without rights": d.post("/evaluation", "{}", named, func(r *http.Request) { r.Header.Del("Authorization") }),
		} {
			if got := a.Header().Get("X-Request-ID"); got != "bfe9eb29 ä" {
				t.Errorf("%s: %q", name, got)
			}
		}
		if got := d.post("/evaluation", object(alice, read, active)).Header().Values("X-Request-ID"); len(got) != 0 {
			t.Errorf("an id that nobody sent: %q", got)
		}
		if authzen.Path != "/access/v1" {
			t.Error("the path is not the standard's")
		}
	})
}
