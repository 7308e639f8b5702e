package verify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// point is a decision service that answers as a test wants.
type point struct {
	*httptest.Server
	asked  []map[string]any
	header http.Header
	status int
	answer string
}

func newPoint(t *testing.T) *point {
	p := &point{status: 200, answer: `{"decision":false}`}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("asked %s %s", r.Method, body)
		}
		m["path"] = r.URL.Path
		p.asked, p.header = append(p.asked, m), r.Header
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(p.status)
		_, _ = w.Write([]byte(p.answer))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *point) client(t *testing.T) *Decisions {
	t.Helper()
	d, err := NewDecisions(DecisionsConfig{Issuer: p.URL + "/realms/acme", Credentials: ClientSecret("shop", "s3cret"), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecide(t *testing.T) {
	p := newPoint(t)
	d := p.client(t)
	p.answer = `{"decision":true,"context":{"id":"dec_1","revision":"1.7","policies":["p"],"reasons":[{"policy":"p","text":"because"}],"more":1},"other":{}}`
	got, err := d.Decide(t.Context(), Question{Subject: Entity{Type: "user", ID: "a"}, Action: "read", ActionProperties: map[string]any{"soft": true},
		Resource: Entity{Type: "doc", ID: "1", Properties: map[string]any{"n": 1}}, Context: map[string]any{"ip": "::1"}, Token: "t", MinRevision: "1.5"})
	if err != nil || !got.Allowed || got.ID != "dec_1" || got.Revision != "1.7" || got.Reasons[0].Text != "because" {
		t.Fatalf("%+v %v", got, err)
	}
	asked, _ := json.Marshal(p.asked[0])
	want := `{"action":{"name":"read","properties":{"soft":true}},"context":{"access_token":"t","ip":"::1"},"path":"/realms/acme/access/v1/evaluation","resource":{"id":"1","properties":{"n":1},"type":"doc"},"subject":{"id":"a","type":"user"}}`
	if string(asked) != want || p.header.Get("Min-Revision") != "1.5" || !strings.HasPrefix(p.header.Get("Authorization"), "Basic ") {
		t.Errorf("asked %s\nwant  %s %v", asked, want, p.header)
	}
	p.answer = `{"evaluations":[{"decision":true},{"decision":false,"context":{"step_up":{"acr_values":"aal2","max_age":60}}},{}]}`
	all, err := d.DecideAll(t.Context(), make([]Question, 3))
	if err != nil || len(all) != 3 || !all[0].Allowed || all[1].Allowed || all[1].StepUp.ACR[0] != "aal2" || all[1].StepUp.Within != time.Minute || all[2].Allowed {
		t.Errorf("%+v %v", all, err)
	}
	if _, err := d.DecideAll(t.Context(), make([]Question, 2)); !errors.Is(err, ErrUndecided) {
		t.Errorf("three answers to two questions: %v", err)
	}
}

// Whatever goes wrong is no yes.
func TestNoAnswerIsNoYes(t *testing.T) {
	p := newPoint(t)
	d := p.client(t)
	for name, c := range map[string]struct {
		status int
		answer string
	}{
		"another status":  {500, `{"decision":true}`},
		"not found":       {404, `{"decision":true}`},
		"a redirect":      {302, `{"decision":true}`},
		"no JSON":         {200, `yes`},
		"a text":          {200, `{"decision":"true"}`},
		"an array":        {200, `[true]`},
		"an endless body": {200, `{"decision":true,"x":"` + strings.Repeat("x", maxDecisions) + `"}`},
	} {
		p.status, p.answer = c.status, c.answer
		if got, err := d.Decide(t.Context(), Question{}); got.Allowed || !errors.Is(err, ErrUndecided) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	p.status, p.answer = 200, `{}`
	if got, err := d.Decide(t.Context(), Question{}); got.Allowed || err != nil {
		t.Errorf("nothing is said: %+v %v", got, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := d.Decide(gone, Question{}); got.Allowed || !errors.Is(err, ErrUndecided) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %+v %v", got, err)
	}
	p.Close()
	if got, err := d.Decide(t.Context(), Question{}); got.Allowed || !errors.Is(err, ErrUndecided) {
		t.Errorf("nobody answers: %+v %v", got, err)
	}
	for name, c := range map[string]DecisionsConfig{"no issuer": {Credentials: ClientSecret("a", "b")}, "plain http": {Issuer: "http://id.example.com", Credentials: ClientSecret("a", "b")}, "no credentials": {Issuer: "https://id.example.com"}} {
		if _, err := NewDecisions(c); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAuthorize(t *testing.T) {
	i, v, _ := ready(t, nil)
	p := newPoint(t)
	about := func(r *http.Request, _ *Token) Question {
		return Question{Action: MethodAction(r.Method), Resource: Entity{Type: "order", ID: r.URL.Path}}
	}
	handler := v.Authorize(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(DecisionFrom(r.Context()).ID)) }), p.client(t), about, "read")
	ask := func(method, authorization string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/7", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	token := i.token(0, nil)
	p.answer = `{"decision":true,"context":{"id":"dec_1"}}`
	if w := ask("DELETE", "Bearer "+token); w.Code != 200 || w.Body.String() != "dec_1" {
		t.Fatalf("permitted: %d %s", w.Code, w.Body)
	}
	sent := p.asked[0]
	subject, _ := sent["subject"].(map[string]any)
	action, _ := sent["action"].(map[string]any)
	circumstances, _ := sent["context"].(map[string]any)
	if subject["id"] == "" || subject["type"] != "user" || action["name"] != "delete" || circumstances["access_token"] != token {
		t.Errorf("asked %v", sent)
	}
	p.answer = `{"decision":false,"context":{"step_up":{"acr_values":"aal2","max_age":300}}}`
	if w := ask("GET", "Bearer "+token); w.Code != 401 || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="insufficient_user_authentication"`) ||
		!strings.Contains(w.Header().Get("WWW-Authenticate"), `acr_values="aal2", max_age="300"`) {
		t.Errorf("not yet: %d %v", w.Code, w.Header())
	}
	p.answer = `{"decision":false}`
	if w := ask("GET", "Bearer "+token); w.Code != 403 {
		t.Errorf("denied: %d", w.Code)
	}
	before := len(p.asked)
	if w := ask("GET", ""); w.Code != 401 {
		t.Errorf("without a token: %d", w.Code)
	}
	if w := ask("GET", "Bearer "+i.token(0, func(c map[string]any) { c["scope"] = "" })); w.Code != 403 || len(p.asked) != before {
		t.Errorf("without the scope: %d, asked %d times", w.Code, len(p.asked)-before)
	}
	p.status = 503
	if w := ask("GET", "Bearer "+token); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("no answer: %d %v", w.Code, w.Header())
	}
}

func TestMethodsAreActions(t *testing.T) {
	for method, want := range map[string]string{"GET": "read", "HEAD": "read", "OPTIONS": "read", "POST": "create", "PUT": "write", "PATCH": "write", "DELETE": "delete", "BREW": "BREW", "get": "get"} {
		if got := MethodAction(method); got != want {
			t.Errorf("%s is %s, want %s", method, got, want)
		}
	}
}
