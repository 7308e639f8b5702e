package signin

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/action"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/risk"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/mail"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

const password = "correct horse battery staple"

// world is a node with the door and all that it stands on, and a stand-in for
// the door of a protocol at /go and /back.
type world struct {
	*audittest.Env
	*Server
	cores   grant.Cores
	realms  *realm.Registry
	handler http.Handler
	setup   *fakeSetUp
	desk    *life.Desk
	terms   *terms.Registry
	jobs    *job.Queue
	letters []letter.Letter // sent, the newest last
	flow    Flow            // what /go begins
	request *Flow           // what /back was handed
	outcome *Outcome        // what the last flow came to
	mail    *mail.Shelf
	app     *client.Client
}

// run runs fn on both databases.
func run(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) { fn(t, newWorld(t, e)) })
}

func newWorld(t testing.TB, e *audittest.Env) *world {
	t.Helper()
	box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
	must(t, err)
	realms, err := realm.NewRegistry(e.DB, e.Log, "https://id.example.com")
	must(t, err)
	c := grant.Cores{Realms: realms, Principals: principal.NewDirectory(e.DB, e.Log), Credentials: credential.NewStore(e.DB, e.Log, box),
		Ring: keyring.New(e.DB, e.Log, box, keyring.Options{})}
	c.Clients = client.New(e.DB, e.Log, c.Credentials)
	c.Sessions = session.NewStore(e.DB, e.Log, realms, c.Principals, c.Credentials)
	w := &world{Env: e, cores: c, realms: realms, setup: &fakeSetUp{}}
	words, err := i18n.Load()
	must(t, err)
	assets, err := look.Assets()
	must(t, err)
	values, grants := once.New(e.DB, e.Log.Epoch), grant.NewStore(e.DB, e.Log, c)
	guard := risk.New(risk.Options{DB: e.DB, Log: e.Log, Realms: realms, Grants: grants, Key: []byte("test")})
	passwords := credential.NewPasswords(e.DB, e.Log, realms, credential.PasswordOptions{Cheap: true})
	passwords.SetWatch(guard)
	w.terms = terms.NewRegistry(e.DB, e.Log)
	w.jobs = job.NewQueue(e.DB, "test", box, slog.New(slog.DiscardHandler))
	w.desk = life.New(life.Options{DB: e.DB, Log: e.Log, Realms: realms, People: c.Principals, Links: action.New(values), Passwords: passwords,
		Sessions: c.Sessions, Grants: grants, Jobs: w.jobs, Send: func(_ *db.Tx, l letter.Letter) error { w.letters = append(w.letters, l); return nil }})
	w.mail = mail.NewShelf()
	letters, err := letter.New(letter.Options{DB: e.DB, Jobs: w.jobs, Realms: realms, Words: words, Sender: w.mail})
	must(t, err)
	credential.FollowMailboxes(e.Log)
	w.Server, err = New(Options{Letters: letters, Jobs: w.jobs, DB: e.DB, Once: values, Sessions: c.Sessions, Risk: guard,
		Passwords: passwords, Factors: credential.NewFactors(e.DB, e.Log, realms, box), People: c.Principals, Clients: c.Clients,
		Grants: grants, Approvals: approval.NewStore(e.DB, e.Log, box), Words: words, Assets: assets, FormKey: []byte("0123456789abcdef"), SetUp: w.setup, Desk: w.desk, Terms: w.terms,
		Passkeys: credential.NewPasskeys(e.DB, e.Log, realms, c.Principals, c.Credentials, values, make([]byte, 32)), PasskeysAt: "/"})
	must(t, err)
	e.Start(t)
	for _, name := range []string{dbtest.Realm, dbtest.Neighbour} {
		_, err := realms.Create(context.Background(), audit.System, realm.New{Name: name, DisplayName: strings.ToUpper(name[:1]) + name[1:]})
		must(t, err)
	}
	w.app = w.mustClient(t, dbtest.Realm)
	w.mount(t, assets)
	return w
}

func (w *world) mount(t testing.TB, assets *web.Assets) {
	t.Helper()
	mux := web.NewMux(web.MuxOptions{Live: w.Log.Live})
	mux.Fallback(w.FailAny)
	w.Mount(mux)
	assets.Mount(mux)
	m := mux.Door("stand-in", w.Fail)
	mux.Door("stand-in", w.Fail, web.Page).Handle("GET /{$}", w.home)
	m.Handle("GET /go", func(rw http.ResponseWriter, r *http.Request) error { return w.Begin(rw, r, w.flow) })
	m.Handle("GET /back", func(rw http.ResponseWriter, r *http.Request) (err error) {
		w.request, w.outcome, err = w.Resume(rw, r)
		if err == nil {
			_, err = io.WriteString(rw, "back at the application")
		}
		return err
	})
	m.Handle("GET /leave", func(rw http.ResponseWriter, r *http.Request) error {
		return w.ConfirmSignOut(rw, r, SignOut{Client: w.app.ID, PostLogout: "https://app.example.com/bye?x=1", State: "s&t"})
	})
	m.Handle("GET /on", func(rw http.ResponseWriter, r *http.Request) error {
		return w.Onward(rw, r, r.URL.Query().Get("to"), r.URL.Query().Get("languages"))
	})
	m.Handle("GET /post", func(rw http.ResponseWriter, r *http.Request) error {
		return w.FormPost(rw, r, r.URL.Query().Get("to"), [][2]string{{"code", "c"}, {"state", `"><script>`}})
	})
	w.handler = web.Front(web.Options{Now: w.Clock.Now, HTTPS: true, Fail: w.FailAny, Resolve: func(r *http.Request) (web.Site, error) {
		re, rest, err := w.realms.Resolve(r.Context(), r.Host, r.URL.Path)
		if err != nil {
			return web.Site{}, err
		}
		return web.Site{Path: rest, Name: re.Name, Key: realm.Key{}, Value: re}, nil
	}}, mux)
}

// home stands for the door of accounts: it says who is signed in.
func (w *world) home(rw http.ResponseWriter, r *http.Request) error {
	all, err := w.accounts(r)
	if err != nil {
		return err
	}
	list, err := w.choices(r, all)
	if err != nil {
		return err
	}
	p := w.page(rw, r, nil, "")
	says := p.T("home.welcome", "realm", p.Site.Name)
	if len(all) > 0 {
		says = map[string]string{"en": "You are signed in", "de": "Sie sind angemeldet"}[p.Tag()]
	}
	_, err = fmt.Fprintf(rw, `<html lang="%s">%s %v`, p.Tag(), says, list)
	return err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) mustClient(t testing.TB, name string) *client.Client {
	t.Helper()
	made, err := w.cores.Clients.Create(context.Background(), audittest.By, name, client.Draft{Settings: client.Settings{Name: "Photo <Book>", Type: client.Web,
		AuthMethod: client.SecretBasic, RedirectURIs: []string{"https://app.example.com/cb"}, GrantTypes: []string{client.AuthorizationCode},
		Scopes: []string{"openid", "profile", "print"}, PolicyURI: "https://app.example.com/privacy"}})
	must(t, err)
	c, err := w.cores.Clients.ByID(context.Background(), name, made.ID)
	must(t, err)
	return c
}

// mustPerson makes somebody who signs in with username or e-mail address.
func (w *world) mustPerson(t testing.TB, name, username, display string) *principal.Principal {
	t.Helper()
	p, err := w.cores.Principals.Create(context.Background(), audittest.By, name, principal.New{Kind: principal.Person, Name: username,
		DisplayName: display, Emails: []principal.Email{{Address: username + "@example.com", Verified: true}}})
	must(t, err)
	_, err = w.Passwords.Set(context.Background(), audittest.By, name, p.ID, password)
	must(t, err)
	return p
}

// browser is a browser without scripts: it keeps cookies, follows
// redirections within the issuer, and pages that lead on by themselves, and
// remembers where it is.
type browser struct {
	t        *testing.T
	w        *world
	jar      *cookiejar.Jar
	base     string // of the realm
	language string
	at       *url.URL
	status   int
	header   http.Header
	body     string
	outside  string // where it was sent outside of the issuer
	stays    bool   // it follows no redirections
	ctx      context.Context
}

func (w *world) browser(t *testing.T, realm string) *browser {
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &browser{t: t, w: w, ctx: t.Context(), jar: jar, base: "https://id.example.com/realms/" + realm, language: "en"}
}

// get opens a path of the realm.
func (b *browser) get(path string) *browser {
	b.t.Helper()
	b.send("GET", b.base+path, nil)
	return b
}

func (b *browser) send(method, target string, form url.Values) {
	b.t.Helper()
	b.outside = ""
	for range 10 {
		u, err := url.Parse(target)
		must(b.t, err)
		if b.at != nil {
			u = b.at.ResolveReference(u)
		}
		if u.Host != "id.example.com" {
			b.outside = u.String()
			return
		}
		r := httptest.NewRequestWithContext(b.ctx, method, u.String(), strings.NewReader(form.Encode()))
		if method == "POST" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Origin", "null")
		}
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Accept-Language", b.language)
		for _, c := range b.jar.Cookies(u) {
			r.AddCookie(c)
		}
		rec := httptest.NewRecorder()
		b.w.handler.ServeHTTP(rec, r)
		b.jar.SetCookies(u, rec.Result().Cookies())
		b.at, b.status, b.header, b.body = u, rec.Code, rec.Header(), rec.Body.String()
		if b.stays {
			return
		}
		method, target, form = "GET", rec.Header().Get("Location"), nil
		if m := refreshTag.FindStringSubmatch(b.body); m != nil {
			target = unescaper.Replace(m[1])
		} else if rec.Code != http.StatusSeeOther {
			return
		}
	}
	b.t.Fatalf("redirected in circles, at %s", b.at)
}

var (
	refreshTag = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]*)">`)

	formTag  = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
	inputTag = regexp.MustCompile(`<input[^>]*>`)
	nameAttr = regexp.MustCompile(`\bname="([^"]*)"`)
	valAttr  = regexp.MustCompile(`\bvalue="([^"]*)"`)
)

var unescaper = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">", "&#34;", `"`, "&#39;", "'", "&#43;", "+")

// submit fills in the page's form that holds all of these fields or buttons,
// and sends it.
func (b *browser) submit(pairs ...string) *browser {
	b.t.Helper()
	for _, f := range formTag.FindAllStringSubmatch(b.body, -1) {
		values := url.Values{}
		for _, in := range inputTag.FindAllString(f[2], -1) {
			if n := nameAttr.FindStringSubmatch(in); n != nil {
				v := ""
				if m := valAttr.FindStringSubmatch(in); m != nil {
					v = unescaper.Replace(m[1])
				}
				values.Set(n[1], v)
			}
		}
		fits := true
		for i := 0; i+1 < len(pairs); i += 2 {
			name, value := pairs[i], pairs[i+1]
			if name == "do" {
				fits = fits && strings.Contains(f[2], `name="do" value="`+value+`"`)
			} else if name == "account" {
				fits = fits && values.Get(name) == value
			} else {
				fits = fits && values.Has(name)
			}
		}
		if !fits {
			continue
		}
		for i := 0; i+1 < len(pairs); i += 2 {
			values.Set(pairs[i], pairs[i+1])
		}
		b.send("POST", unescaper.Replace(f[1]), values)
		return b
	}
	b.t.Fatalf("no form with %v at %s:\n%s", pairs, b.at, b.body)
	return b
}

// signIn opens the sign-in page and signs in.
func (b *browser) signIn(identifier string) *browser {
	b.t.Helper()
	return b.get("/signin").submit("identifier", identifier, "password", password)
}

// shows fails the test unless the page has the status and holds the texts.
func (b *browser) shows(status int, texts ...string) *browser {
	b.t.Helper()
	if b.status != status {
		b.t.Errorf("%s: status %d, want %d\n%s", b.at, b.status, status, b.body)
	}
	for _, text := range texts {
		if !strings.Contains(b.body, text) {
			b.t.Errorf("%s: %q is missing in\n%s", b.at, text, b.body)
		}
	}
	return b
}

// isAt fails the test unless the browser is at a path of the realm.
func (b *browser) isAt(path string) *browser {
	b.t.Helper()
	if got := "https://id.example.com" + b.at.Path; got != b.base+path {
		b.t.Errorf("at %s, want %s%s\n%s", got, b.base, path, b.body)
	}
	return b
}

func (b *browser) cookie(name string) string {
	for _, c := range b.jar.Cookies(b.at) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (b *browser) setCookie(name, value string) {
	u, _ := url.Parse(b.base)
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
}

// sessions are the live sessions of the browser.
func (b *browser) sessions() []*session.Session {
	b.t.Helper()
	name := b.base[strings.LastIndex(b.base, "/")+1:]
	all, err := b.w.Sessions.FromCookie(context.Background(), name, b.cookie("__Host-cardea-"+name))
	must(b.t, err)
	return all
}

// fakeSetUp stands for the operators' registry.
type fakeSetUp struct {
	open string // the link that is good
	made *FirstPerson
	err  error
	// principal is whom setting up is said to make.
	principal string
}

func (f *fakeSetUp) SetupOpen(_ context.Context, _, link string) error {
	if link == "" || link != f.open {
		return fault.New(fault.NotFound, "link_unknown", "no such link")
	}
	return nil
}

func (f *fakeSetUp) Setup(ctx context.Context, _ audit.Actor, realm, link string, p FirstPerson) (string, error) {
	if err := f.SetupOpen(ctx, realm, link); err != nil {
		return "", err
	}
	if f.err != nil {
		return "", f.err
	}
	f.open, f.made = "", &p
	return f.principal, nil
}
