package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/api"
)

// fake answers each request with the next answer and keeps what was asked.
type fake struct {
	answers []func(http.ResponseWriter)
	asked   []*http.Request
	bodies  []string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.asked, f.bodies = append(f.asked, r), append(f.bodies, string(body))
	next := f.answers[0]
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	next(w)
}

func says(status int, body string, headers ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func start(t *testing.T, answers ...func(http.ResponseWriter)) (*fake, *Client, *[]time.Duration) {
	t.Helper()
	f := &fake{answers: answers}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c, err := New(s.URL, WithToken("tok"))
	if err != nil {
		t.Fatal(err)
	}
	var waited []time.Duration
	c.wait = func(_ context.Context, d time.Duration) error { waited = append(waited, d); return nil }
	return f, c, &waited
}

func TestRequestCarriesTokenVersionAndEscapedPath(t *testing.T) {
	f, c, _ := start(t, says(200, `{"id":"usr_1","version":4}`, "Content-Type", "application/json"))
	name := "Ada"
	u, err := c.Users.Update(context.Background(), "a/b c", 3, api.UserUpdate{DisplayName: &name})
	if err != nil || u.Version != 4 {
		t.Fatalf("got %+v, %v", u, err)
	}
	r := f.asked[0]
	if r.Method != "PATCH" || r.URL.EscapedPath() != "/api/v1/users/a%2Fb%20c" || r.Header.Get("Authorization") != "Bearer tok" ||
		r.Header.Get("If-Match") != `"3"` || f.bodies[0] != `{"display_name":"Ada"}` {
		t.Errorf("got %s %s %v %s", r.Method, r.URL.EscapedPath(), r.Header, f.bodies[0])
	}
}

// No path takes an id that is an address.
func TestAClientWhoseIDIsAnAddressIsFoundByItsService(t *testing.T) {
	f, c, _ := start(t, says(200, `{"items":[{"id":"web","principal":"svc_1"},{"id":"https://app.example/c.json","principal":"svc_2"}]}`, "Content-Type", "application/json"))
	if _, err := c.Clients.Disable(context.Background(), "https://app.example/c.json"); err != nil {
		t.Fatal(err)
	}
	if last := f.asked[len(f.asked)-1]; last.Method != "POST" || last.URL.Path != "/api/v1/clients/svc_2/disable" {
		t.Errorf("%s %s", last.Method, last.URL)
	}
	asked := len(f.asked)
	if _, err := c.Clients.Get(context.Background(), "https://other.example/c.json"); err == nil || !strings.Contains(err.Error(), "no client") || len(f.asked) != asked+1 {
		t.Errorf("%v", err)
	}
}

func TestListWalksEveryPage(t *testing.T) {
	f, c, _ := start(t, says(200, `{"items":[{"id":"1"},{"id":"2"}],"next":"2"}`), says(200, `{"items":[{"id":"3"}]}`))
	var ids []string
	for u, err := range c.Users.All(context.Background(), Filter{"q": "a b", "state": ""}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, u.ID)
	}
	if strings.Join(ids, "") != "123" {
		t.Errorf("got %v", ids)
	}
	if q := f.asked[0].URL.Query(); q.Get("q") != "a b" || q.Has("state") || q.Has("after") {
		t.Errorf("first page asked with %v", q)
	}
	if q := f.asked[1].URL.Query(); q.Get("after") != "2" {
		t.Errorf("second page asked with %v", q)
	}
}

func TestListStopsAtAnError(t *testing.T) {
	_, c, _ := start(t, says(200, `{"items":[{"id":"1"}],"next":"1"}`), says(403, `{"title":"Forbidden","status":403,"code":"not_permitted","detail":"no"}`, "Content-Type", "application/problem+json"))
	var got []error
	for _, err := range c.Users.All(context.Background(), nil) {
		got = append(got, err)
	}
	if len(got) != 2 || got[0] != nil || !IsStatus(got[1], 403) {
		t.Errorf("got %v", got)
	}
}

func TestUnavailableIsTriedAgainAfterTheTimeNamed(t *testing.T) {
	busy := says(503, `{"title":"Service Unavailable","status":503,"code":"unavailable"}`, "Content-Type", "application/problem+json", "Retry-After", "2")
	f, c, waited := start(t, busy, busy, says(201, `{"id":"grp_1"}`))
	g, err := c.Groups.Create(context.Background(), api.GroupCreate{Name: "a"})
	if err != nil || g.ID != "grp_1" {
		t.Fatalf("got %+v, %v", g, err)
	}
	if len(*waited) != 2 || (*waited)[0] != 2*time.Second || f.bodies[2] != `{"name":"a"}` {
		t.Errorf("waited %v, sent %q last", *waited, f.bodies[2])
	}
	f.answers, f.asked = []func(http.ResponseWriter){busy}, nil
	if _, err := c.Groups.Get(context.Background(), "x"); !IsStatus(err, 503) || len(f.asked) != 4 {
		t.Errorf("%d tries ended with %v", len(f.asked), err)
	}
}

func TestOtherRefusalsAreNotTriedAgain(t *testing.T) {
	f, c, _ := start(t, says(429, `{"title":"Too Many Requests","status":429,"code":"too_many_requests","detail":"wait"}`, "Content-Type", "application/problem+json", "Retry-After", "7"))
	err := c.Grants.Revoke(context.Background(), "gnt_1")
	var p *Problem
	if !errors.As(err, &p) || p.RetryAfter != 7*time.Second || p.Code != "too_many_requests" || len(f.asked) != 1 {
		t.Errorf("%d tries ended with %+v", len(f.asked), err)
	}
}

func TestProblemReadsWell(t *testing.T) {
	for want, p := range map[string]api.Problem{
		"no such user":            {Title: "Not Found", Detail: "no such user"},
		"Not Found":               {Title: "Not Found"},
		"bad (a: is x; b: is y)":  {Detail: "bad", Errors: map[string]string{"b": "is y", "a": "is x"}},
		"name is taken elsewhere": {Detail: "name is taken elsewhere", Errors: map[string]string{"name": "is taken"}},
	} {
		if got := (&Problem{Problem: p}).Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What a proxy answers is not in our words, and still an error with its status.
func TestForeignAnswersAreProblemsToo(t *testing.T) {
	for _, answer := range []func(http.ResponseWriter){
		says(502, "<html>bad gateway</html>", "Content-Type", "text/html"),
		says(404, "{", "Content-Type", "application/problem+json"),
		says(302, "", "Location", "https://elsewhere.example/"),
	} {
		_, c, _ := start(t, answer)
		if _, err := c.Users.Get(context.Background(), "x"); err == nil {
			t.Error("a foreign answer is taken for a success")
		} else if p := (*Problem)(nil); !errors.As(err, &p) || p.Status < 300 {
			t.Errorf("got %v", err)
		}
	}
	_, c, _ := start(t, says(200, "<html>welcome to the hotel</html>"))
	if _, err := c.Users.Get(context.Background(), "x"); err == nil {
		t.Error("a page is taken for a user")
	}
}

func TestTokenSourceIsAskedForEveryRequest(t *testing.T) {
	f, c, _ := start(t, says(200, `{}`))
	n := 0
	WithTokenSource(func(context.Context) (string, error) { n++; return strings.Repeat("x", n), nil })(c)
	for range 2 {
		if _, err := c.Operators.Me(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if f.asked[1].Header.Get("Authorization") != "Bearer xx" {
		t.Errorf("got %s", f.asked[1].Header.Get("Authorization"))
	}
	WithTokenSource(func(context.Context) (string, error) { return "", errors.New("no login") })(c)
	if _, err := c.Operators.Me(context.Background()); err == nil || err.Error() != "no login" {
		t.Errorf("got %v", err)
	}
}

func TestIssuerMustBeAURLThatIsEncryptedOrHere(t *testing.T) {
	for _, issuer := range []string{"", "id.example.com", "ftp://id.example.com", "https://", "http://id.example.com", "http://localhost.example.com",
		"https://ada@id.example.com", "https://id.example.com?x=y", "https://id.example.com#x"} {
		if _, err := New(issuer); err == nil {
			t.Errorf("%q is accepted", issuer)
		}
	}
	for _, issuer := range []string{"https://id.example.com/realms/acme/", "http://localhost:8080", "http://127.0.0.2", "http://[::1]:8080"} {
		if _, err := New(issuer); err != nil {
			t.Error(err)
		}
	}
}

// A secret is made once, however often the request is sent; another call has
// another key.
func TestARequestForASecretKeepsItsKey(t *testing.T) {
	busy := says(503, `{"title":"Service Unavailable","status":503,"code":"unconfirmed"}`, "Content-Type", "application/problem+json")
	f, c, _ := start(t, busy, says(201, `{"id":"crd_1","secret":"s"}`))
	for range 2 {
		if s, err := c.Clients.AddSecret(context.Background(), "shop", 0); err != nil || s.ID != "crd_1" {
			t.Fatalf("got %+v, %v", s, err)
		}
	}
	key := func(i int) string { return f.asked[i].Header.Get("Idempotency-Key") }
	if len(f.asked) != 3 || len(key(0)) < 16 || key(0) != key(1) || key(0) == key(2) {
		t.Errorf("the keys were %q", []string{key(0), key(1), key(2)})
	}
}

// A log is verified step by step, and is intact when the last step says so.
func TestVerifyGoesOnUntilTheEnd(t *testing.T) {
	f, c, _ := start(t, says(200, `{"intact":false,"size":256,"of":600,"next":"a b"}`), says(200, `{"intact":false,"size":512,"of":600,"next":"c"}`), says(200, `{"intact":true,"size":600,"of":600}`))
	var told []int64
	v, err := c.Events.VerifySteps(context.Background(), "", func(soFar api.LogVerified) { told = append(told, soFar.Size) })
	if err != nil || !v.Intact || v.Size != 600 || len(told) != 2 || told[0] != 256 || told[1] != 512 {
		t.Errorf("%+v, %v, told %v", v, err, told)
	}
	for i, want := range []string{"", "a b", "c"} {
		if r := f.asked[i]; r.Method != "POST" || r.URL.Path != "/api/v1/events/verify" || r.URL.Query().Get("after") != want {
			t.Errorf("step %d: %s %s", i, r.Method, r.URL)
		}
	}
	_, c, _ = start(t, says(200, `{"intact":false,"size":256,"of":600,"next":"a"}`), says(200, `{"intact":false,"problem":"event 300 is missing"}`))
	if v, err := c.Events.Verify(context.Background()); err != nil || v.Intact || v.Problem == "" {
		t.Errorf("%+v, %v", v, err)
	}
}

// A verification that goes on for hours waits while somebody else's step runs, as long
// as its caller does, and begins where it is told to.
func TestVerifyWaitsForOthers(t *testing.T) {
	busy := says(429, `{"code":"verify_running","detail":"wait for that","status":429}`, "Content-Type", "application/problem+json", "Retry-After", "10")
	f, c, waited := start(t, busy, says(200, `{"intact":false,"size":512,"of":600,"next":"b"}`), busy, busy, says(200, `{"intact":true,"size":600,"of":600}`))
	var told []api.LogVerified
	v, err := c.Events.VerifySteps(context.Background(), "a", func(soFar api.LogVerified) { told = append(told, soFar) })
	if err != nil || !v.Intact || v.Problem != "" || len(*waited) != 3 || (*waited)[2] != 10*time.Second {
		t.Errorf("%+v, %v, waited %v", v, err, *waited)
	}
	for i, want := range []string{"a", "a", "b", "b", "b"} {
		if got := f.asked[i].URL.Query().Get("after"); got != want {
			t.Errorf("request %d went on after %q, want %q", i, got, want)
		}
	}
	if len(told) != 4 || told[0].Problem != "wait for that" || told[1].Problem != "" || told[3].Problem == "" || told[3].Size != 512 || told[3].Next != "b" {
		t.Errorf("told %+v", told)
	}
	_, c, _ = start(t, busy)
	c.wait = func(context.Context, time.Duration) error { return context.Canceled }
	if _, err := c.Events.Verify(context.Background()); !errors.Is(err, context.Canceled) || !IsStatus(err, 429) {
		t.Error(err)
	}
}
