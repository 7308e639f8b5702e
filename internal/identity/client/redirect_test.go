package client

import (
	"strings"
	"testing"
)

// TestRedirectVectors holds redirect URIs of requests to the registered ones
// with everything that has opened other systems: AZ-01.
func TestRedirectVectors(t *testing.T) {
	web := &Settings{Type: Web, RedirectURIs: []string{"https://app.example.com/cb", "https://app.example.com/cb?tenant=1", "https://app.example.com", "http://localhost:8081/callback", "http://127.0.0.1:9000/cb"}}
	native := &Settings{Type: Native, RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]:1234/cb?x=1", "com.example.app:/cb", "http://localhost/cb"}}
	for _, v := range []struct {
		s    *Settings
		uri  string
		want bool
	}{
		{web, "https://app.example.com/cb", true},
		{web, "https://app.example.com/cb?tenant=1", true},
		{web, "https://app.example.com", true},
		{web, "http://localhost:8081/callback", true},
		{web, "http://127.0.0.1:9000/cb", true},
		{web, "", false},
		{web, "https://app.example.com/", false},
		{web, "https://app.example.com/cb/", false},
		{web, "https://app.example.com/cb?", false},
		{web, "https://app.example.com/cb#", false},
		{web, "https://app.example.com/cb#x", false},
		{web, "https://app.example.com/cb?tenant=2", false},
		{web, "https://app.example.com/cb?tenant=1&x=1", false},
		{web, "https://app.example.com/CB", false},
		{web, "https://APP.example.com/cb", false},
		{web, "HTTPS://app.example.com/cb", false},
		{web, "http://app.example.com/cb", false},
		{web, "https://app.example.com:443/cb", false},
		{web, "https://app.example.com:8443/cb", false},
		{web, "https://app.example.com./cb", false},
		{web, "https://app.example.com.evil.com/cb", false},
		{web, "https://evil.com/https://app.example.com/cb", false},
		{web, "https://evil.com?https://app.example.com/cb", false},
		{web, "https://evil.com#https://app.example.com/cb", false},
		{web, "https://app.example.com@evil.com/cb", false},
		{web, "https://user@app.example.com/cb", false},
		{web, "https://app.example.com\\@evil.com/cb", false},
		{web, "https://app.example.com/cb/../evil", false},
		{web, "https://app.example.com/./cb", false},
		{web, "https://app.example.com//cb", false},
		{web, "https://app.example.com/%63b", false},
		{web, "https://app.example.com/cb%00", false},
		{web, "https://app.example.com/cb\n", false},
		{web, " https://app.example.com/cb", false},
		{web, "https://app.example.com/cb\t", false},
		{web, "https://app.example.com/cb;x", false},
		{web, "https://app-example.com/cb", false},
		{web, "https://appXexample.com/cb", false},
		{web, "https://evilapp.example.com/cb", false},
		{web, "https://xn--app-example.com/cb", false},
		{web, "https://аpp.example.com/cb", false},
		{web, "//app.example.com/cb", false},
		{web, "/cb", false},
		{web, "javascript:alert(1)", false},
		{web, "data:text/html,x", false},
		{web, "https:/app.example.com/cb", false},
		{web, "https:app.example.com/cb", false},
		{web, "https:///app.example.com/cb", false},
		{web, "http://localhost:8082/callback", false},
		{web, "http://localhost/callback", false},
		{web, "http://127.0.0.1:8081/callback", false},
		{web, "http://127.0.0.1:9001/cb", false}, // not native: exact
		{native, "http://127.0.0.1/cb", true},
		{native, "http://127.0.0.1:1/cb", true},
		{native, "http://127.0.0.1:65535/cb", true},
		{native, "http://[::1]/cb?x=1", true},
		{native, "http://[::1]:50000/cb?x=1", true},
		{native, "com.example.app:/cb", true},
		{native, "http://localhost/cb", true},
		{native, "http://localhost:5000/cb", false},
		{native, "http://127.0.0.1:0/cb", false},
		{native, "http://127.0.0.1:065/cb", false},
		{native, "http://127.0.0.1:65536/cb", false},
		{native, "http://127.0.0.1:/cb", false},
		{native, "http://127.0.0.1:80@evil.com/cb", false},
		{native, "http://127.0.0.1:80.evil.com/cb", false},
		{native, "http://127.0.0.1.evil.com/cb", false},
		{native, "http://127.0.0.1evil.com/cb", false},
		{native, "http://127.0.0.1@evil.com/cb", false},
		{native, "http://127.0.0.2/cb", false},
		{native, "http://127.1/cb", false},
		{native, "http://2130706433/cb", false},
		{native, "https://127.0.0.1/cb", false},
		{native, "http://127.0.0.1:8080/cb/x", false},
		{native, "http://127.0.0.1:8080/cb?x=1", false},
		{native, "http://[::1]:50000/cb", false},
		{native, "http://[::ffff:127.0.0.1]/cb?x=1", false},
		{native, "http://[0:0:0:0:0:0:0:1]/cb?x=1", false},
		{native, "com.example.app://cb", false},
		{native, "com.example.app:/cb/", false},
	} {
		if got := v.s.AllowsRedirect(v.uri); got != v.want {
			t.Errorf("%s client, %q: allowed %v, want %v", v.s.Type, v.uri, got, v.want)
		}
	}
}

// TestRegistrationRefusesUnsafeRedirects: AZ-02.
func TestRegistrationRefusesUnsafeRedirects(t *testing.T) {
	for _, v := range []struct {
		typ  Type
		uri  string
		want bool
	}{
		{Web, "https://app.example.com/cb", true},
		{Web, "https://app.example.com", true},
		{Web, "https://app.example.com:8443/cb?a=%2Fb", true},
		{Web, "https://192.0.2.1/cb", true},
		{Web, "https://[2001:db8::1]/cb", true},
		{Web, "http://localhost:8081/callback", true},
		{Web, "http://127.0.0.1/cb", true},
		{Native, "http://[::1]/cb", true},
		{Native, "com.example.app:/cb", true},
		{Native, "com.example.app://done/cb", true},
		{Web, "", false},
		{Web, "javascript:alert(1)", false},
		{Native, "javascript:/alert(1)", false},
		{Native, "data:/text", false},
		{Native, "vbscript:/x", false},
		{Native, "file:///etc/passwd", false},
		{Native, "myapp:/cb", false},
		{Native, "com..app:/cb", false},
		{Native, "com.app.:/cb", false},
		{Native, "com.example.app:cb", false},
		{SPA, "com.example.app:/cb", false},
		{Web, "ftp://app.example.com/cb", false},
		{Web, "http://app.example.com/cb", false},
		{Web, "http://127.0.0.2/cb", false},
		{Web, "http://0.0.0.0/cb", false},
		{Web, "http://localhost.evil.com/cb", false},
		{Web, "https://app.example.com/cb#fragment", false},
		{Web, "https://app.example.com/cb#", false},
		{Web, "https://user:pass@app.example.com/cb", false},
		{Web, "https://user@app.example.com/cb", false},
		{Web, "https://*.example.com/cb", false},
		{Web, "https://app.example.com/*", false},
		{Web, "https://App.example.com/cb", false},
		{Web, "HTTPS://app.example.com/cb", false},
		{Web, "https://app.example.com:443/cb", false},
		{Web, "https://app.example.com:/cb", false},
		{Web, "https://app.example.com:99999/cb", false},
		{Web, "https://app.example.com./cb", false},
		{Web, "https://app..example.com/cb", false},
		{Web, "https:///cb", false},
		{Web, "https://", false},
		{Web, "https:/app.example.com/cb", false},
		{Web, "//app.example.com/cb", false},
		{Web, "/cb", false},
		{Web, "https://app.example.com/a/../cb", false},
		{Web, "https://app.example.com/a/./cb", false},
		{Web, "https://app.example.com/a/..", false},
		{Web, "https://app.example.com/%2e%2e/cb", false},
		{Web, "https://app.example.com/a%2Fcb", false},
		{Web, "https://app.example.com/cb%0d%0aSet-Cookie:x", false},
		{Web, "https://app.example.com/cb%7f", false},
		{Web, "https://app.example.com/cb%", false},
		{Web, "https://app.example.com/cb%zz", false},
		{Web, "https://app.example.com/c b", false},
		{Web, "https://app.example.com/cb\r\n", false},
		{Web, "https://app.example.com/\x00", false},
		{Web, "https://app.example.com\\@evil.com", false},
		{Web, "https://app.example.com/<script>", false},
		{Web, "https://bücher.example/cb", false},
		{Web, "https://0x7f.1/cb", false},
		{Web, "https://127.1/cb", false},
		{Web, "https://192.0.2.01/cb", false},
		{Web, "https://[::ffff:192.0.2.1]/cb", false},
		{Web, "https://[2001:DB8::1]/cb", false},
		{Web, "https://[2001:db8::1%25eth0]/cb", false},
		{Web, "https://[2001:db8::1/cb", false},
		{Web, "https://[2001:db8::1]x/cb", false},
		{Web, "https://app.example.com/" + strings.Repeat("a", maxURI), false},
	} {
		s := Settings{Name: "App", Type: v.typ, RedirectURIs: []string{v.uri}}
		s.Defaults()
		err := s.Validate()
		if got := err == nil; got != v.want {
			t.Errorf("%s %q: accepted %v, want %v (%v)", v.typ, v.uri, got, v.want, err)
		}
	}
}

// FuzzRedirect checks that no string passes the canonical form check and is
// read otherwise by the standard library, and that nothing matches but what is
// registered.
func FuzzRedirect(f *testing.F) {
	for _, s := range []string{"https://app.example.com/cb", "http://127.0.0.1:1/cb?x=%20", "com.example.app:/cb", "https://[::1]:2/", "https://a@b/c", "http://[::1]:80/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		p, why := canonical(uri)
		if why == "" {
			sameReading(t, uri, p)
		}
		native := &Settings{Type: Native, RedirectURIs: []string{"http://127.0.0.1/cb"}}
		if native.AllowsRedirect(uri) {
			if got, why := canonical(uri); why != "" && uri != "http://127.0.0.1:80/cb" || why == "" && (got.host != "127.0.0.1" || got.rest != "/cb") {
				t.Fatalf("%q is allowed but reads as %+v, %s", uri, got, why)
			}
		}
	})
}
