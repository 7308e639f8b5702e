package web

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

func postForm(body string, headers ...string) (Params, error) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return Form(httptest.NewRecorder(), r, "resource")
}

func TestFormIsStrict(t *testing.T) {
	p, err := postForm("a=1&b=x+y%21&empty=&resource=r1&resource=r2&flag&semi=a;b", "Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	if err != nil {
		t.Fatal(err)
	}
	if p.Get("a") != "1" || p.Get("b") != "x y!" || !p.Has("empty") || !p.Has("flag") || p.Has("c") || len(p.All("resource")) != 2 || p.Get("semi") != "a;b" {
		t.Errorf("got %+v", p)
	}
	for name, c := range map[string]struct {
		body    string
		headers []string
		kind    fault.Kind
	}{
		"twice":            {"a=1&a=1", nil, fault.Invalid},
		"twice, encoded":   {"a=1&%61=2", nil, fault.Invalid},
		"bad escape":       {"a=%zz", nil, fault.Invalid},
		"cut escape":       {"a=%2", nil, fault.Invalid},
		"not UTF-8":        {"a=%ff", nil, fault.Invalid},
		"NUL":              {"a=%00", nil, fault.Invalid},
		"no type":          {"a=1", []string{"Content-Type", ""}, fault.Invalid},
		"JSON":             {`{"a":1}`, []string{"Content-Type", "application/json"}, fault.Invalid},
		"multipart":        {"a=1", []string{"Content-Type", "multipart/form-data; boundary=x"}, fault.Invalid},
		"other charset":    {"a=1", []string{"Content-Type", "application/x-www-form-urlencoded; charset=utf-16"}, fault.Invalid},
		"compressed":       {"a=1", []string{"Content-Encoding", "gzip"}, fault.Invalid},
		"many":             {strings.Repeat("a&", 10) + manyParams(200), nil, fault.Invalid},
		"more than 64 KiB": {"a=" + strings.Repeat("x", 64<<10), nil, fault.TooLarge},
	} {
		if _, err := postForm(c.body, c.headers...); !fault.Is(err, c.kind) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func manyParams(n int) string {
	v := url.Values{}
	for i := range n {
		v.Set("p"+strings.Repeat("x", i), "1")
	}
	return v.Encode()
}

func TestBodyOfUnknownLengthIsBounded(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader("a="+strings.Repeat("x", 1<<20)))
	r.ContentLength = -1
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	if _, err := Form(w, r); !fault.Is(err, fault.TooLarge) || w.Header().Get("Connection") != "close" {
		t.Errorf("got %v, Connection %q", err, w.Header().Get("Connection"))
	}
}

type inner struct {
	City string `json:"city"`
}

type wire struct {
	Name   string         `json:"name"`
	Count  int            `json:"count"`
	Inner  *inner         `json:"inner"`
	List   []inner        `json:"list"`
	Free   map[string]any `json:"free"`
	When   time.Time      `json:"when"`
	Raw    json.RawMessage
	Hidden string `json:"-"`
	embedded
}

type embedded struct {
	Extra string `json:"extra"`
}

func TestStrictJSON(t *testing.T) {
	var v wire
	good := `{"name":"a","count":3,"inner":{"city":"x"},"list":[{"city":"y"}],"free":{"Any":1,"thing":[1,{"a":2}]},"when":"2030-01-02T03:04:05Z","Raw":{"x":1},"extra":"e"}`
	if err := Strict([]byte(good), &v); err != nil || v.Inner.City != "x" || v.Extra != "e" {
		t.Fatalf("got %+v, %v", v, err)
	}
	for name, body := range map[string]string{
		"unknown key":         `{"nome":"a"}`,
		"other case":          `{"Name":"a"}`,
		"long s":              `{"li` + "ſ" + `t":[]}`,
		"twice":               `{"name":"a","name":"b"}`,
		"twice in free":       `{"free":{"a":1,"a":2}}`,
		"twice but for case":  `{"free":{"a":1,"A":2}}`,
		"twice, deep in free": `{"free":{"x":[{"a":1,"a":2}]}}`,
		"twice, escaped":      "{\"name\":\"a\",\"n\\u0061me\":\"b\"}",
		"unknown in list":     `{"list":[{"town":"y"}]}`,
		"hidden":              `{"Hidden":"x"}`,
		"wrong type":          `{"count":"hunter2"}`,
		"fraction":            `{"count":1.5}`,
		"two values":          `{} {}`,
		"cut":                 `{"name":`,
		"empty":               ``,
		"not UTF-8":           "{\"name\":\"\xff\"}",
		"deep":                `{"free":{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}}`,
		"a list":              `[]`,
	} {
		err := Strict([]byte(body), new(wire))
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the value is quoted: %v", name, err)
		}
	}
	var anything any
	if err := Strict([]byte(`{"a":{"B":1,"b":2}}`), &anything); !fault.Is(err, fault.Invalid) {
		t.Errorf("duplicates below any: %v", err)
	}
}

func TestReadJSONTakesOnlyJSON(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"name":"a"}`))
	r.Header.Set("Content-Type", "text/plain")
	if err := ReadJSON(httptest.NewRecorder(), r, new(wire)); !fault.Is(err, fault.Invalid) {
		t.Errorf("text/plain: %v", err)
	}
	r = httptest.NewRequest("POST", "/", strings.NewReader(`{"name":"`+strings.Repeat("x", 1<<20)+`"}`))
	r.Header.Set("Content-Type", "application/json")
	if err := ReadJSON(httptest.NewRecorder(), r, new(wire)); !fault.Is(err, fault.TooLarge) {
		t.Errorf("over 1 MiB: %v", err)
	}
}

func TestCookies(t *testing.T) {
	w := httptest.NewRecorder()
	SetCookie(w, "__Host-a", "v.1", time.Hour)
	ClearCookie(w, "__Host-b")
	got := w.Header()["Set-Cookie"]
	if got[0] != "__Host-a=v.1; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600" || !strings.HasPrefix(got[1], "__Host-b=; Path=/; Max-Age=0; Secure") {
		t.Errorf("got %q", got)
	}
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"one":        {[]string{"__Host-a=v"}, "v"},
		"among":      {[]string{"x=1; __Host-a=v; y=2"}, "v"},
		"two lines":  {[]string{"x=1", "__Host-a=v"}, "v"},
		"with =":     {[]string{"__Host-a=v=="}, "v=="},
		"none":       {nil, ""},
		"other case": {[]string{"__host-a=v"}, ""},
		"prefix":     {[]string{"__Host-ab=v"}, ""},
		"twice":      {[]string{"__Host-a=v; __Host-a=w"}, ""},
		"same twice": {[]string{"__Host-a=v", "__Host-a=v"}, ""},
		"quoted":     {[]string{`__Host-a="v"`}, ""},
		"control":    {[]string{"__Host-a=v\x01"}, ""},
		"not ASCII":  {[]string{"__Host-a=\xff"}, ""},
		"oversized":  {[]string{"__Host-a=" + strings.Repeat("x", 5000)}, ""},
		"rubbish":    {[]string{";;;=;=;__Host-a"}, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Cookie"] = c.lines
		if got := Cookie(r, "__Host-a"); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	for _, bad := range []func(){
		func() { SetCookie(w, "a", "v", 0) },
		func() { SetCookie(w, "__Host-a", "v; Domain=evil", 0) },
		func() { SetCookie(w, "__Host-a", strings.Repeat("x", 5000), 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a bad cookie was set")
				}
			}()
			bad()
		}()
	}
}

func TestFormTokensBelongToOneBrowserAndPurpose(t *testing.T) {
	f := NewForms([]byte("0123456789abcdef"), "__Host-form")
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	token := f.Token(w, r, "signin")
	if again := f.Token(w, r, "signin"); again != token || len(w.Header()["Set-Cookie"]) != 1 {
		t.Errorf("two forms of one page: %q %q, cookies %q", token, again, w.Header()["Set-Cookie"])
	}
	value, _, _ := strings.Cut(strings.TrimPrefix(w.Header().Get("Set-Cookie"), "__Host-form="), ";")
	check := func(cookie, purpose, token string) error {
		r := httptest.NewRequest("POST", "/", nil)
		if cookie != "" {
			r.Header.Set("Cookie", "__Host-form="+cookie)
		}
		return f.Check(r, purpose, token)
	}
	if err := check(value, "signin", token); err != nil {
		t.Errorf("the right form: %v", err)
	}
	other := httptest.NewRecorder()
	f.Token(other, httptest.NewRequest("GET", "/", nil), "signin")
	otherValue, _, _ := strings.Cut(strings.TrimPrefix(other.Header().Get("Set-Cookie"), "__Host-form="), ";")
	for name, err := range map[string]error{
		"no cookie": check("", "signin", token), "other browser": check(otherValue, "signin", token), "other purpose": check(value, "consent", token),
		"no token": check(value, "signin", ""), "cookie as token": check(value, "signin", value), "made up cookie": check("cdf_x", "signin", token),
	} {
		if !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if g := NewForms([]byte("fedcba9876543210"), "__Host-form"); g.Check(withCookie("__Host-form="+value), "signin", token) == nil {
		t.Error("another key accepts the token")
	}
}

func withCookie(line string) *http.Request {
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Cookie", line)
	return r
}

func FuzzParams(f *testing.F) {
	f.Add("a=1&b=2")
	f.Add("grant_type=authorization_code&code=x%20y&redirect_uri=https%3A%2F%2Fa%2Fb%3Fc%3Dd")
	f.Add("a=%ff&a=%00;&=&&%=%")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseParams(s)
		if err != nil {
			return
		}
		// Where we accept, the standard library reads the same, once each.
		std, err := url.ParseQuery(strings.ReplaceAll(s, ";", "%3B"))
		if err != nil {
			t.Fatalf("accepted %q, url.ParseQuery says %v", s, err)
		}
		if len(p.Names()) != len(p.pairs) {
			t.Fatalf("%q: a name twice", s)
		}
		for k, v := range std {
			if len(v) != 1 || p.Get(k) != v[0] {
				t.Fatalf("%q: %q is %q here and %q there", s, k, p.Get(k), v)
			}
		}
	})
}

func FuzzCookie(f *testing.F) {
	f.Add("__Host-a=v; x=y")
	f.Add(`__Host-a="v"; __Host-a=w`)
	f.Fuzz(func(t *testing.T, line string) {
		v := Cookie(withCookie(line), "__Host-a")
		if v == "" || len("__Host-a")+len(v) > maxCookie { // longer ones are not ours
			return
		}
		w := httptest.NewRecorder()
		SetCookie(w, "__Host-a", v, 0)
		pair, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
		if got := Cookie(withCookie(pair), "__Host-a"); got != v {
			t.Fatalf("%q: read %q, set and read %q", line, v, got)
		}
	})
}

func FuzzStrictJSON(f *testing.F) {
	f.Add(`{"name":"a","inner":{"city":"x"},"free":{"a":[1,2,{"b":null}]}}`)
	f.Add(`{"name":"a","name":"b"}`)
	f.Fuzz(func(t *testing.T, s string) {
		var v wire
		if Strict([]byte(s), &v) != nil {
			return
		}
		dec := json.NewDecoder(strings.NewReader(s))
		dec.DisallowUnknownFields()
		if err := dec.Decode(new(wire)); err != nil {
			t.Fatalf("accepted %q, encoding/json says %v", s, err)
		}
	})
}

// Whatever a header says, the client is the peer, or an address that is written
// in the header as one.
func FuzzForwardedFor(f *testing.F) {
	trusted := NewProxies([]netip.Prefix{netip.MustParsePrefix("10.9.9.0/24")})
	peer := netip.MustParseAddr("10.9.9.9")
	f.Add("1.2.3.4, 10.9.9.1")
	f.Add("evil, 1.2.3.4")
	f.Fuzz(func(t *testing.T, line string) {
		got := trusted.client(peer, http.Header{"X-Forwarded-For": {line}})
		if !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q: %v", line, got)
		}
		if got != peer && !strings.Contains(line, ".") && !strings.Contains(line, ":") {
			t.Fatalf("%q: %v is not in it", line, got)
		}
		// What a client puts before what its proxy adds changes nothing.
		if after := trusted.client(peer, http.Header{"X-Forwarded-For": {line + ", 1.2.3.4"}}); after != netip.MustParseAddr("1.2.3.4") {
			t.Fatalf("%q: behind 1.2.3.4 it is %v", line, after)
		}
	})
}

// A path that is taken means the same to whoever cleans paths before us, and
// leads nowhere else when a page repeats it.
func FuzzCleanPath(f *testing.F) {
	f.Add("/oauth2/token")
	f.Add("/a/../b")
	f.Add("//evil.example/%2e%2e")
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil || u.Scheme != "" || !cleanPath(u) {
			return
		}
		if cleaned := path.Clean(u.Path); cleaned != u.Path && cleaned+"/" != u.Path {
			t.Fatalf("%q is taken as %q, and is %q", raw, u.Path, cleaned)
		}
		base := &url.URL{Scheme: "https", Host: "id.example", Path: "/"}
		if to, err := base.Parse(u.EscapedPath()); err != nil || to.Host != base.Host {
			t.Fatalf("%q leads to %v, %v", raw, to, err)
		}
	})
}

// Memory that bodies are read into is used by others later.
func TestNothingStaysOfABody(t *testing.T) {
	room := make([]byte, 16)
	for _, text := range []string{"", "{}", `{"secret":"abc"}`, `{"secret":"longer than room"}`} {
		for _, length := range []int64{int64(len(text)), -1} {
			r := httptest.NewRequest("POST", "/", strings.NewReader(text))
			r.ContentLength = length
			r.Header.Set("Content-Type", "application/json")
			got, err := ReadBody(httptest.NewRecorder(), r, "application/json", 1<<10, room)
			if err != nil || got != text {
				t.Errorf("%q, length %d: %q, %v", text, length, got, err)
			}
			if !bytes.Equal(room, make([]byte, 16)) {
				t.Fatalf("%q, length %d: %q is left", text, length, room)
			}
		}
	}
	r := httptest.NewRequest("POST", "/", io.LimitReader(strings.NewReader("secret"), 6))
	r.ContentLength = 10 // more than came
	r.Header.Set("Content-Type", "application/json")
	if _, err := ReadBody(httptest.NewRecorder(), r, "application/json", 1<<10, room); !fault.Is(err, fault.Invalid) || !bytes.Equal(room, make([]byte, 16)) {
		t.Errorf("half a body: %v, %q is left", err, room)
	}
}
