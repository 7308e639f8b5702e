package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// A login over ssh: the command line shows a code, a browser anywhere confirms
// it, and the command line has what the other kind of login gives.
func TestLoginOnAnotherDevice(t *testing.T) {
	const password = "turquoise walrus on a bicycle"
	s, printed := startVirgin(t)
	b := newBrowser(t)
	at, page := b.open(http.MethodGet, regexp.MustCompile(`http://\S+/setup\?link=\S+`).FindString(printed), nil)
	b.submit(at, page, url.Values{"name": {"Ada Lovelace"}, "email": {"ada@example.com"}, "username": {"ada"}, "password": {password}})

	login := func(do string) (string, error) {
		t.Helper()
		out, shown := io.Pipe()
		words := make(chan string, 1)
		go func() {
			var all strings.Builder
			buf := make([]byte, 1024)
			told := false
			for {
				n, err := out.Read(buf)
				all.Write(buf[:n])
				if link := regexp.MustCompile(`(http://\S+/device\?user_code=(\S+))\n[^$]*\n  (\S+)\n`).FindStringSubmatch(all.String()); link != nil && !told {
					told = true
					if link[2] != link[3] {
						t.Errorf("the link says %s and the words %s", link[2], link[3])
					}
					b.decide(link[1], password, do)
				}
				if err != nil {
					words <- all.String()
					return
				}
			}
		}()
		c := &console{getenv: s.getenv, in: strings.NewReader(""), out: io.Discard, err: shown, openBrowser: func(string) error { t.Error("opened a browser"); return os.ErrInvalid }}
		root := newRoot(c)
		root.SetArgs([]string{"login", s.issuer, "--device", "--timeout", "30s"})
		err := root.ExecuteContext(context.Background())
		shown.Close()
		return <-words, err
	}
	if words, err := login("deny"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("refused: %v %s", err, words)
	}
	if words, err := login("allow"); err != nil {
		t.Fatalf("%v %s", err, words)
	}
	if got, errs, err := s.run("whoami"); err != nil || !strings.Contains(got, "Ada Lovelace") {
		t.Errorf("whoami: %v %s\n%s", err, errs, got)
	}
	store, err := (&console{getenv: s.getenv}).tokens()
	if err != nil || store.Logins[s.issuer].Refresh == "" {
		t.Errorf("no refresh token is kept: %v", err)
	}
}

// decide follows the link of a device to its end.
func (b *browser) decide(link, password, do string) {
	b.t.Helper()
	at, page := b.open(http.MethodGet, link, nil)
	for range 4 {
		if strings.HasSuffix(at.Path, "/decided") {
			return
		}
		fields := url.Values{}
		switch {
		case strings.Contains(at.Path, "signin"):
			fields = url.Values{"identifier": {"ada"}, "password": {password}, "do": {"signin"}}
		case strings.Contains(at.Path, "consent"):
			fields = url.Values{"do": {do}}
		}
		at, page = b.submit(at, page, fields)
	}
	b.t.Errorf("ended at %s: %s", at, page)
}
