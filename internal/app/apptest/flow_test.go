package apptest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// A flow is one conversation of testdata/flows: requests and what the answers
// must look like, in the order in which they happen. The README there describes
// the notation.
type flow struct {
	name  string
	steps []step
}

// A step is one request with its expectations, or a directive.
type step struct {
	line      int
	directive []string // "browser", "two" or "clock", "10m"
	method    string
	target    string
	header    [][2]string
	basic     [2]string
	form      []string
	body      string
	expect    []expectation
}

type expectation struct {
	line int
	text string
}

// parseFlow reads the notation. It is strict: a line that means nothing is an
// error, for an expectation that is skipped would hide a mistake.
func parseFlow(name, text string) (*flow, error) {
	f := &flow{name: name}
	var now *step
	inBody := false
	for i, line := range strings.Split(text, "\n") {
		at := i + 1
		kind, rest, _ := strings.Cut(strings.TrimRight(line, " \r"), " ")
		switch {
		case kind == "" && rest == "", strings.HasPrefix(kind, "#"):
			inBody = false
		case strings.HasPrefix(kind, "@"):
			f.steps = append(f.steps, step{line: at, directive: append([]string{kind[1:]}, strings.Fields(rest)...)})
			if now = nil; kind == "@delivered" {
				now, inBody = &f.steps[len(f.steps)-1], false
			}
		case kind == ">" && (now == nil || len(now.expect) > 0):
			method, target, ok := strings.Cut(rest, " ")
			if !ok {
				return nil, fmt.Errorf("%s:%d: a request begins with a method and a target", name, at)
			}
			f.steps = append(f.steps, step{line: at, method: method, target: target})
			now, inBody = &f.steps[len(f.steps)-1], false
		case kind == ">" && rest == "":
			inBody = true
		case kind == ">" && inBody && strings.HasPrefix(rest, "{\""):
			now.body += rest
		case kind == ">" && inBody:
			now.form = append(now.form, rest)
		case kind == ">" && strings.HasPrefix(rest, "Basic "):
			id, secret, _ := strings.Cut(strings.TrimPrefix(rest, "Basic "), " ")
			now.basic = [2]string{id, secret}
		case kind == ">":
			key, value, ok := strings.Cut(rest, ": ")
			if !ok {
				return nil, fmt.Errorf("%s:%d: %q is no header; a body follows an empty line", name, at, rest)
			}
			now.header = append(now.header, [2]string{key, value})
		case kind == "<" && now != nil:
			now.expect = append(now.expect, expectation{at, rest})
		default:
			return nil, fmt.Errorf("%s:%d: what is %q?", name, at, line)
		}
	}
	for _, s := range f.steps {
		if s.method != "" && len(s.expect) == 0 {
			return nil, fmt.Errorf("%s:%d: nothing is expected of this answer", name, s.line)
		}
	}
	return f, nil
}

// A conversation is a flow being played against a handler.
type conversation struct {
	t       *testing.T
	handler http.Handler
	issuer  string // what relative targets are below
	move    func(time.Duration)
	now     func() time.Time
	signer  *jose.Key // of the client "signer"
	vars    map[string]string
	jars    map[string]http.CookieJar
	browser string
	verbose bool
	// delivered are the forms that applications were sent, as JSON.
	delivered <-chan []byte
}

func (c *conversation) play(f *flow) {
	c.t.Helper()
	c.jars, c.browser = map[string]http.CookieJar{}, "one"
	for _, s := range f.steps {
		if s.directive != nil {
			c.direct(f, s)
			continue
		}
		req := c.request(f, s)
		rec := httptest.NewRecorder()
		c.handler.ServeHTTP(rec, req)
		resp := rec.Result()
		resp.Request = req
		c.jar().SetCookies(req.URL, resp.Cookies())
		body := rec.Body.Bytes()
		if c.verbose {
			c.t.Logf("> %s %s\n%v\n< %d\n%v\n%s", req.Method, req.URL, req.Header, resp.StatusCode, resp.Header, body)
		}
		for i, e := range s.expect {
			if err := c.check(resp, body, i, e.text); err != nil {
				c.t.Fatalf("%s:%d: %v\n  after %s %s: %d %v\n%.600s", f.name, e.line, err, req.Method, req.URL, resp.StatusCode, resp.Header, body)
			}
		}
	}
}

func (c *conversation) direct(f *flow, s step) {
	c.t.Helper()
	switch {
	case s.directive[0] == "delivered" && len(s.expect) > 0:
		c.deliver(f, s)
	case s.directive[0] == "browser" && len(s.directive) == 2:
		c.browser = s.directive[1]
	case s.directive[0] == "clock" && len(s.directive) == 2:
		d, err := time.ParseDuration(s.directive[1])
		if err != nil {
			c.t.Fatalf("%s:%d: %v", f.name, s.line, err)
		}
		c.move(d)
	case s.directive[0] == "object" && len(s.directive) > 2:
		c.vars[s.directive[1]] = c.object(strings.Join(s.directive[2:], " "))
	case s.directive[0] == "let" && len(s.directive) == 3:
		c.vars[s.directive[1]] = c.fill(s.directive[2])
	default:
		c.t.Fatalf("%s:%d: there is no directive %v", f.name, s.line, s.directive)
	}
}

// deliver waits for what an application is sent, and holds it to what is expected.
func (c *conversation) deliver(f *flow, s step) {
	c.t.Helper()
	select {
	case body := <-c.delivered:
		for _, e := range s.expect {
			if err := c.check(&http.Response{}, body, 1, e.text); err != nil {
				c.t.Fatalf("%s:%d: %v\n  delivered: %s", f.name, e.line, err, body)
			}
		}
	case <-time.After(30 * time.Second):
		c.t.Fatalf("%s:%d: nothing was delivered", f.name, s.line)
	}
}

// object signs a request object of the client "signer" with more claims.
func (c *conversation) object(more string) string {
	claims := map[string]any{"iss": "signer", "client_id": "signer", "aud": c.issuer, "nbf": c.now().Unix(), "exp": c.now().Add(5 * time.Minute).Unix()}
	if err := json.Unmarshal([]byte(c.fill(more)), &claims); err != nil {
		c.t.Fatalf("%s: %v", more, err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		c.t.Fatal(err)
	}
	signed, err := jose.Sign(c.signer, "oauth-authz-req+jwt", payload)
	if err != nil {
		c.t.Fatal(err)
	}
	return signed
}

func (c *conversation) jar() http.CookieJar {
	if c.jars[c.browser] == nil {
		c.jars[c.browser], _ = cookiejar.New(nil)
	}
	return c.jars[c.browser]
}

func (c *conversation) request(f *flow, s step) *http.Request {
	c.t.Helper()
	target := c.fill(s.target)
	if strings.HasPrefix(target, "/") {
		// Redirects name the whole path; flows name it below the realm.
		u, _ := url.Parse(c.issuer)
		if u.Path == "" || !strings.HasPrefix(target, u.Path+"/") {
			target = c.issuer + target
		} else {
			target = u.Scheme + "://" + u.Host + target
		}
	}
	body := c.fill(s.body)
	if len(s.form) > 0 {
		body = c.encodeForm(s.form)
	}
	req := httptest.NewRequest(s.method, target, strings.NewReader(body))
	req.Header.Set("User-Agent", "flow")
	if len(s.form) > 0 {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if s.basic[0] == "" {
			req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
			req.Header.Set("Sec-Fetch-Site", "same-origin")
		}
	} else if s.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.basic[0] != "" {
		req.SetBasicAuth(url.QueryEscape(c.fill(s.basic[0])), url.QueryEscape(c.fill(s.basic[1])))
	}
	for _, h := range s.header {
		req.Header.Set(h[0], c.fill(h[1]))
	}
	for _, cookie := range c.jar().Cookies(req.URL) {
		req.AddCookie(cookie)
	}
	return req
}

func (c *conversation) encodeForm(lines []string) string {
	var parts []string
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		parts = append(parts, url.QueryEscape(name)+"="+url.QueryEscape(c.fill(value)))
	}
	return strings.Join(parts, "&")
}

var placeholder = regexp.MustCompile(`\{([a-z0-9_*]+(?::[a-z0-9_]+)?)\}`)

// fill puts values in the place of {name}, and of {s256:name} and {url:name}.
func (c *conversation) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(p string) string {
		name := p[1 : len(p)-1]
		function, arg, ok := strings.Cut(name, ":")
		if !ok {
			function, arg = "", name
		}
		value, known := c.vars[arg]
		if !known {
			c.t.Fatalf("nobody has said what %s is", p)
		}
		switch function {
		case "s256":
			sum := sha256.Sum256([]byte(value))
			return base64.RawURLEncoding.EncodeToString(sum[:])
		case "url":
			return url.QueryEscape(value)
		}
		return value
	})
}

// match compares a value with a pattern. A {name} seen for the first time is
// remembered, later it must be the same; {*} is anything.
func (c *conversation) match(pattern, value string) error {
	var b strings.Builder
	var fresh []string
	last := 0
	for _, at := range placeholder.FindAllStringIndex(pattern, -1) {
		b.WriteString(regexp.QuoteMeta(pattern[last:at[0]]))
		name := pattern[at[0]+1 : at[1]-1]
		_, known := c.vars[name]
		switch {
		case name == "*":
			b.WriteString("(?s:.*)")
		case known || strings.Contains(name, ":"):
			b.WriteString(regexp.QuoteMeta(c.fill("{" + name + "}")))
		default:
			fresh = append(fresh, name)
			b.WriteString("(.+?)")
		}
		last = at[1]
	}
	b.WriteString(regexp.QuoteMeta(pattern[last:]))
	m := regexp.MustCompile("^" + b.String() + "$").FindStringSubmatch(value)
	if m == nil {
		return fmt.Errorf("got %q, want %s", value, pattern)
	}
	for i, name := range fresh {
		c.vars[name] = m[i+1]
	}
	return nil
}

// check holds an answer to one line of expectation.
func (c *conversation) check(resp *http.Response, body []byte, i int, want string) error {
	if i == 0 {
		return c.match(want, fmt.Sprint(resp.StatusCode))
	}
	left, pattern, _ := strings.Cut(want, " = ")
	words := strings.Fields(left)
	switch {
	case strings.HasPrefix(want, "~ "):
		if !bytes.Contains(body, []byte(c.fill(want[2:]))) {
			return fmt.Errorf("the body does not say %s", want[2:])
		}
	case strings.HasPrefix(want, "!~ "):
		if bytes.Contains(body, []byte(c.fill(want[3:]))) {
			return fmt.Errorf("the body says %s", want[3:])
		}
	case strings.HasPrefix(want, "!."):
		if v, ok := at(body, want[1:]); ok {
			return fmt.Errorf("%s is there: %s", want[1:], v)
		}
	case strings.HasPrefix(want, "!"):
		if v := resp.Header.Get(want[1:]); v != "" {
			return fmt.Errorf("there is a header %s: %s", want[1:], v)
		}
	case strings.HasPrefix(want, "."):
		v, ok := at(body, left)
		if !ok {
			return fmt.Errorf("there is no %s", left)
		}
		return c.match(pattern, v)
	case len(words) == 3 && words[0] == "jwt":
		return c.checkToken(body, words[1], words[2], pattern)
	case len(words) == 2 && (words[0] == "query" || words[0] == "fragment"):
		to := resp.Header.Get("Location")
		if m := refreshTag.FindSubmatch(body); m != nil && to == "" {
			to = html.UnescapeString(string(m[1]))
		}
		u, err := url.Parse(to)
		if err != nil {
			return err
		}
		q := u.Query()
		if words[0] == "fragment" {
			q, _ = url.ParseQuery(u.Fragment)
		}
		return c.match(pattern, q.Get(words[1]))
	case len(words) == 2 && words[0] == "input":
		v, ok := input(body, words[1])
		if !ok {
			return fmt.Errorf("the page has no input %s", words[1])
		}
		return c.match(pattern, v)
	default:
		name, value, ok := strings.Cut(want, ": ")
		if !ok {
			return fmt.Errorf("what is %q?", want)
		}
		return c.match(value, resp.Header.Get(name))
	}
	return nil
}

// checkToken looks into the payload of a signed token within the answer, or of
// one that has a name; a claim that begins with ! must be absent.
func (c *conversation) checkToken(body []byte, where, claim, pattern string) error {
	token, _ := at(body, where)
	if strings.HasPrefix(where, "{") {
		token = c.fill(where)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%s is not a signed token", where)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	name, absent := strings.CutPrefix(claim, "!")
	v, ok := at(payload, name)
	switch {
	case absent && ok:
		return fmt.Errorf("the token has a claim %s: %s", name, v)
	case absent:
		return nil
	case !ok:
		return fmt.Errorf("the token has no claim %s", name)
	}
	return c.match(pattern, v)
}

// at finds .a.b.0 in JSON and gives it as text.
func at(body []byte, path string) (string, bool) {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return "", false
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "."), ".") {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[name]; !ok {
				return "", false
			}
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(x) {
				return "", false
			}
			v = x[i]
		default:
			return "", false
		}
	}
	if s, ok := v.(string); ok {
		return s, true
	}
	text, err := json.Marshal(v)
	return string(text), err == nil
}

var (
	inputTag  = regexp.MustCompile(`<(?:input|button)\b[^>]*>`)
	nameAttr  = regexp.MustCompile(`\bname="([^"]*)"`)
	valueAttr = regexp.MustCompile(`\bvalue="([^"]*)"`)

	// refreshTag is where a page leads on to by itself.
	refreshTag = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]*)">`)
)

// input gives the value of a named input of a page.
func input(page []byte, name string) (string, bool) {
	for _, tag := range inputTag.FindAllString(string(page), -1) {
		if m := nameAttr.FindStringSubmatch(tag); m == nil || m[1] != name {
			continue
		}
		if m := valueAttr.FindStringSubmatch(tag); m != nil {
			return html.UnescapeString(m[1]), true
		}
		return "", true
	}
	return "", false
}
