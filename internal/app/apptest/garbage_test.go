package apptest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// A mistake is something wrong with a request, whatever the request is.
type mistake struct {
	name   string
	query  string
	kind   string // Content-Type of the body
	body   string
	long   bool // as many header bytes as are too many
	length int64
	more   http.Header
	want   int // 0: any 4xx
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// inAddress are mistakes that every route can meet.
func inAddress() []mistake {
	many := strings.Repeat("a=1&", 200)
	return []mistake{
		{name: "too long a header", long: true, want: 431},
		{name: "too long an address", query: "flow=" + strings.Repeat("x", 16<<10), want: 431},
		{name: "a parameter twice in the address", query: "flow=a&flow=b"},
		{name: "an address that is not UTF-8", query: "flow=%ff"},
		{name: "half an escape in the address", query: "flow=%4"},
		{name: "NUL in the address", query: "flow=a%00b"},
		{name: "more parameters than there are", query: many},
	}
}

// inForms are mistakes for what reads forms.
func inForms() []mistake {
	return []mistake{
		{name: "too large a form", kind: formType, body: "a=" + strings.Repeat("x", 64<<10), want: 413},
		{name: "too large a form that does not say so", kind: formType, body: "a=" + strings.Repeat("x", 64<<10), length: -1, want: 413},
		{name: "a parameter twice", kind: formType, body: "form=a&form=b"},
		{name: "a form that is not UTF-8", kind: formType, body: "form=%ff"},
		{name: "half an escape", kind: formType, body: "form=%4"},
		{name: "NUL", kind: formType, body: "form=a%00b"},
		{name: "too many parameters", kind: formType, body: func() string {
			var b strings.Builder
			for i := range 200 {
				fmt.Fprintf(&b, "p%d=1&", i)
			}
			return b.String()
		}()},
		{name: "JSON for a form", kind: jsonType, body: `{"form":"a"}`},
		{name: "another charset", kind: formType + "; charset=utf-16", body: "form=a"},
		{name: "a multipart form", kind: "multipart/form-data; boundary=x", body: "--x--"},
		{name: "two types", kind: formType, body: "form=a", more: http.Header{"Content-Type": {jsonType}}},
		{name: "no type", body: "form=a"},
		{name: "a compressed form", kind: formType, body: "form=a", more: http.Header{"Content-Encoding": {"gzip"}}},
		{name: "a form that ends early", kind: formType, body: "form=a", length: 1000},
	}
}

// inJSON are mistakes for what reads JSON.
func inJSON() []mistake {
	return []mistake{
		{name: "too much JSON", kind: jsonType, body: `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, want: 413},
		{name: "too much JSON that does not say so", kind: jsonType, body: `{"name":"` + strings.Repeat("x", 1<<20) + `"}`, length: -1, want: 413},
		{name: "JSON that ends early", kind: jsonType, body: `{"name":"a"`},
		{name: "a body that ends early", kind: jsonType, body: `{"name":"a"}`, length: 1000},
		{name: "deep JSON", kind: jsonType, body: strings.Repeat(`{"name":`, 2000) + "1" + strings.Repeat("}", 2000)},
		{name: "deep arrays", kind: jsonType, body: `{"name":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}"},
		{name: "JSON that is not UTF-8", kind: jsonType, body: "{\"name\":\"\xff\"}"},
		{name: "a key twice", kind: jsonType, body: `{"name":"a","name":"b"}`},
		{name: "a key twice, in another case", kind: jsonType, body: `{"name":"a","NAME":"b"}`},
		{name: "two values", kind: jsonType, body: `{} {}`},
		{name: "an array", kind: jsonType, body: `[]`},
		{name: "no JSON", kind: jsonType, body: `hello`},
		{name: "a number beyond all bounds", kind: jsonType, body: `{"version":1e999999}`},
		{name: "a form for JSON", kind: formType, body: "name=a"},
		{name: "no type", body: `{"name":"a"}`},
		{name: "another charset", kind: jsonType + "; charset=utf-16", body: `{"name":"a"}`},
		{name: "compressed JSON", kind: jsonType, body: `{"name":"a"}`, more: http.Header{"Content-Encoding": {"gzip"}}},
	}
}

// inHeaders are headers that mean nothing; a route may do without them.
func inHeaders() []mistake {
	return []mistake{
		{name: "headers of garbage", more: http.Header{"Cookie": {"\xff=;;;==\"", strings.Repeat("a=b; ", 500)}, "Dpop": {"a.b.c", "x"}, "Accept": {"\xfe/\x80;q=x"},
			"Accept-Language": {strings.Repeat("x-", 200) + ";q=nan"}, "Origin": {"null"}, "User-Agent": {"\xff\xfe"}, "X-Forwarded-For": {",,\xff, 1.2.3.4:x"},
			"If-None-Match": {`W/"`}, "Range": {"bytes=9-1"}, "Client-Cert": {":AAAA:"}, "Idempotency-Key": {"\xff"}, "Last-Event-Id": {"\xff.1"}}},
		{name: "a Basic of garbage", more: http.Header{"Authorization": {"Basic \xff"}}},
		{name: "a Bearer of garbage", more: http.Header{"Authorization": {"Bearer " + strings.Repeat("A", 9000)}}},
		{name: "two authorizations", more: http.Header{"Authorization": {"Bearer x", "Basic YTpi"}}},
	}
}

// P-22: whatever is wrong with a request, each route refuses it with a 4xx, changes
// nothing and breaks nowhere. Each route is asked by somebody who may ask, so that
// it is the mistake that is refused. Remove the call of Query from mux.admit, or
// the checks from strictly in package admin/api, to see it fail.
func TestEveryRouteRefusesGarbage(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { refuseGarbage(t, db.SQLite) })
	t.Run("postgres", func(t *testing.T) { refuseGarbage(t, db.Postgres) })
}

func refuseGarbage(t *testing.T, engine db.Engine) {
	e := StartWith(t, engine, map[string]string{"CARDEA_RATES_ADMIN_READ": "600000/1m", "CARDEA_RATES_ADMIN_WRITE": "600000/1m",
		"CARDEA_RATES_ADMIN_SECRET": "600000/1m", "CARDEA_RATES_ADMIN_REFUSED": "600000/1m"})
	w := settle(t, e)
	w.Person(t, realm.Default, "ada@example.com")
	v := w.visitor()
	v.mustSignIn(t, "ada@example.com")
	access, _ := v.tokens(t)
	before := w.state(t)
	asked := 0
	try := func(r web.Route, m mistake) {
		asked++
		c := w.wrong(r, m, access, v)
		if r.Door == "access" && m.want == http.StatusRequestEntityTooLarge {
			m.want = http.StatusBadRequest // all that is no question, says AuthZEN
		}
		if strings.HasPrefix(r.Door, "opa") || r.Door == "edge" {
			m.want = 0 // agents and edges prove who they are before anything is read
		}
		if said := c.text("error_description"); strings.ContainsFunc(said, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
			t.Errorf("%s, %s: RFC 6749, section 5.2, has no room for %q", r, m.name, said)
		}
		document := r.LeaseOff                                                                            // takes no parameters
		bodiless := r.Method == http.MethodDelete || strings.Contains(c.Body.String(), "body_unexpected") // however much of it there is
		switch {
		case c.Code >= 500:
			t.Errorf("%s, %s: %d %.300s", r, m.name, c.Code, c.Body)
		case m.want != 0 && c.Code != m.want && !bodiless:
			t.Errorf("%s, %s: %d, want %d: %.300s", r, m.name, c.Code, m.want, c.Body)
		case m.want == 0 && c.Code < 400 && !document:
			t.Errorf("%s, %s: let through with %d %.300s", r, m.name, c.Code, c.Body)
		}
	}
	for _, r := range e.Mux.Routes() {
		if r.Method == "" {
			t.Errorf("%s answers every method", r)
		}
		mistakes := inAddress()
		if r.Method != http.MethodGet && r.Method != http.MethodOptions {
			if r.Door == "admin" || r.Door == "access" || strings.HasPrefix(r.Path, "/oauth2/register") {
				mistakes = append(mistakes, inJSON()...)
			} else {
				mistakes = append(mistakes, inForms()...)
			}
		}
		for _, m := range mistakes {
			try(r, m)
		}
		for _, m := range inHeaders() {
			if c := w.wrong(r, m, access, v); c.Code >= 500 {
				t.Errorf("%s, %s: %d %.300s", r, m.name, c.Code, c.Body)
			}
		}
		for _, method := range []string{"BREW", "TRACE", "CONNECT", strings.Repeat("X", 200)} {
			if c := w.wrong(web.Route{Door: r.Door, Method: method, Path: r.Path}, mistake{}, access, v); c.Code != http.StatusMethodNotAllowed || c.Header().Get("Allow") == "" {
				t.Errorf("%.20s %s: %d", method, r.Path, c.Code)
			}
		}
	}
	if asked < 1500 {
		t.Errorf("only %d requests were made", asked)
	}
	for name, after := range w.state(t) {
		if !slices.Equal(after, before[name]) {
			t.Errorf("realm %s changed: %v", name, after[:len(after)-len(before[name])])
		}
	}
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// wrong makes a request with a mistake, in the name of somebody who may make it.
func (w *town) wrong(r web.Route, m mistake, access string, v *visitor) call {
	path := wildcard.ReplaceAllString(strings.ReplaceAll(r.Path, "{$}", ""), "none")
	if m.query != "" {
		path += "?" + m.query
	}
	return w.ask(r.Method, path, nil, func(in *http.Request) {
		fresh := httptest.NewRequest(http.MethodPost, Issuer+path, strings.NewReader(m.body))
		fresh.Method = r.Method
		*in = *fresh
		in.Body, in.ContentLength = fresh.Body, fresh.ContentLength
		switch {
		case m.length != 0:
			in.ContentLength = m.length
		case m.body == "":
			in.Body, in.ContentLength = http.NoBody, 0
		}
		in.Header = http.Header{}
		in.RemoteAddr = "10.9.9.9:1" // a trusted proxy, which speaks for many
		in.Header.Set("X-Forwarded-For", fmt.Sprintf("10.1.%d.%d", len(path)%250, len(m.name)%250))
		if m.kind != "" {
			in.Header.Set("Content-Type", m.kind)
		}
		if m.long {
			in.Header.Set("X-Long", strings.Repeat("x", 16<<10))
		}
		w.vouch(r, m, in, access, v)
		for name, values := range m.more {
			if name == "Content-Type" {
				values = append([]string{m.kind}, values...)
			}
			in.Header[name] = values
		}
	})
}

// vouch puts into a request what makes its route listen.
func (w *town) vouch(r web.Route, m mistake, in *http.Request, access string, v *visitor) {
	switch {
	case r.Door == "admin":
		bearer(w.admin)(in)
	case r.Door == "signal" && len(m.more) == 0: // with headers alone it would stream
		basic("server", w.server)(in)
	case r.Path == "/oauth2/userinfo":
		bearer(access)(in)
	case r.Path == "/oauth2/introspect" || r.Door == "access":
		basic("server", w.server)(in)
	case strings.HasPrefix(r.Path, "/oauth2/") && r.Method == http.MethodPost:
		basic("app", w.app)(in)
	}
	if r.Page || r.Door == "oauth" {
		in.Header.Set("Accept", "text/html")
		in.Header.Set("Origin", Issuer)
		in.Header.Set("Sec-Fetch-Site", "same-origin")
		for _, cookie := range v.jar.Cookies(&url.URL{Scheme: "https", Host: in.Host, Path: "/"}) {
			in.AddCookie(cookie)
		}
	}
}

// state is what happened in each realm, newest first, without activity and decisions: refusals
// may be noted.
func (w *town) state(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, name := range []string{realm.Default, Neighbour} {
		for _, e := range w.Events(t, name) {
			if e.Action != "activity.segment" && e.Action != "decision.segment" {
				all[name] = append(all[name], e.Action)
			}
		}
	}
	return all
}

// What people and programs send on the way to something that is written down is
// written down whatever bytes it is made of. Remove ToValidUTF8 from prove in package
// session to see it fail on PostgreSQL, and bounded from newRecord of package audit
// to see how much a stranger may write.
func TestWhatIsWrittenDownMayBeAnyBytes(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		w.Person(t, realm.Default, "ada@example.com")
		for _, agent := range []string{"\xff\xfe\x80", "a\x80b", strings.Repeat("ü", 3000) + "\xc3", "\u202eevil", "\t"} {
			v := w.visitor()
			form := v.formToken(t, "/signin")
			try := func(password string) call {
				return v.ask("POST", "/signin", url.Values{"form": {form}, "identifier": {"ada@example.com"}, "password": {password}}, func(r *http.Request) {
					r.Header.Set("Origin", Issuer)
					r.Header.Set("User-Agent", agent)
					for _, cookie := range v.jar.Cookies(r.URL) {
						r.AddCookie(cookie)
					}
				})
			}
			if c := try("a wrong password, sadly"); c.Code != http.StatusUnprocessableEntity {
				t.Errorf("%q, a wrong password: %d", agent, c.Code)
			}
			if c := try(Password); c.Code != http.StatusSeeOther {
				t.Errorf("%q, the right password: %d", agent, c.Code)
			}
			for _, r := range w.Events(t, realm.Default) {
				if len(r.Actor.UserAgent) > 400 {
					t.Errorf("%s tells %d bytes of a browser", r.Action, len(r.Actor.UserAgent))
				}
			}
		}
	})
}
