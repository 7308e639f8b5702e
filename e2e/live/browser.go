package live

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
)

// Browser keeps the cookies of one host, as a browser does for localhost:
// Secure ones too. It runs no scripts; the pages work without.
type Browser struct {
	// Address is where it says that it comes from, to a server that takes this machine
	// for a proxy. Empty: from this machine.
	Address string

	http    *http.Client
	mu      sync.Mutex
	cookies map[string]string
}

// NewBrowser opens a browser without cookies.
func NewBrowser() *Browser {
	b := &Browser{cookies: map[string]string{}}
	b.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return b
}

// Page is what a browser shows: an address and its text.
type Page struct {
	URL      *url.URL
	Status   int
	Text     string
	Location string // where a redirect, or the page by itself, leads to on another host
}

// Open follows an address through all redirects of its host, those of pages that
// lead on by themselves too.
func (b *Browser) Open(ctx context.Context, address string) (*Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.follow(req)
}

// Submit sends a page's first form that has a field or button for every name
// in fields, filled in with them and otherwise as the page has it.
func (b *Browser) Submit(ctx context.Context, p *Page, fields map[string]string) (*Page, error) {
	for _, form := range forms.FindAllStringSubmatch(p.Text, -1) {
		values, names := url.Values{}, map[string]bool{}
		for _, tag := range inputs.FindAllString(form[2], -1) {
			name, kind := attribute(tag, "name"), attribute(tag, "type")
			names[name] = true
			if name != "" && kind != "submit" && kind != "checkbox" && !strings.HasPrefix(tag, "<button") {
				values.Set(name, attribute(tag, "value"))
			}
		}
		fits := true
		for name, value := range fields {
			fits = fits && names[name]
			values.Set(name, value)
		}
		if !fits {
			continue
		}
		action, err := p.URL.Parse(attribute(form[1], "action"))
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, action.String(), strings.NewReader(values.Encode()))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", action.Scheme+"://"+action.Host)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		return b.follow(req)
	}
	return nil, fmt.Errorf("no form at %s has the fields %v:\n%.2000s", p.URL, fields, p.Text)
}

// SignIn opens an address and answers what Cardea asks on the way, until the
// browser is sent to another host: who, which password, and yes.
func (b *Browser) SignIn(ctx context.Context, address, login, password string) (*Page, error) {
	p, err := b.Open(ctx, address)
	for range 5 {
		if err != nil || p.Location != "" {
			return p, err
		}
		fields := map[string]string{}
		for _, tag := range inputs.FindAllString(p.Text, -1) {
			switch kind := attribute(tag, "type"); {
			case kind == "password":
				fields[attribute(tag, "name")] = password
			case kind == "text" || kind == "email":
				fields[attribute(tag, "name")] = login
			case attribute(tag, "value") == "allow":
				fields[attribute(tag, "name")] = "allow"
			}
		}
		p, err = b.Submit(ctx, p, fields)
	}
	return p, errors.New("the sign-in does not end")
}

func (b *Browser) follow(req *http.Request) (*Page, error) {
	host := req.URL.Host
	for range 20 {
		if b.Address != "" {
			req.Header.Set("X-Forwarded-For", b.Address)
		}
		b.mu.Lock()
		for name, value := range b.cookies {
			req.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		b.mu.Unlock()
		resp, err := b.http.Do(req)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		b.take(resp.Cookies())
		p := &Page{URL: req.URL, Status: resp.StatusCode, Text: string(text)}
		to := resp.Header.Get("Location")
		if m := refresh.FindStringSubmatch(p.Text); m != nil && p.Status == http.StatusOK {
			to = html.UnescapeString(m[1])
		} else if to == "" || p.Status < 300 || p.Status > 399 {
			return p, nil
		}
		next, err := req.URL.Parse(to)
		if err != nil {
			return nil, err
		}
		if next.Host != host {
			p.Location = next.String()
			return p, nil
		}
		if req, err = http.NewRequestWithContext(req.Context(), http.MethodGet, next.String(), nil); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the redirects do not end")
}

func (b *Browser) take(cookies []*http.Cookie) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range cookies {
		if c.MaxAge < 0 || c.Value == "" {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
}

// Cookies is the value of the Cookie header that the browser would send.
func (b *Browser) Cookies() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var parts []string
	for name, value := range b.cookies {
		parts = append(parts, name+"="+value)
	}
	return strings.Join(parts, "; ")
}

var (
	forms  = regexp.MustCompile(`(?s)(<form\b[^>]*>)(.*?)</form>`)
	inputs = regexp.MustCompile(`<(?:input|button)\b[^>]*>`)

	refresh = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]*)">`)
)

func attribute(tag, name string) string {
	_, rest, ok := strings.Cut(tag, " "+name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}
