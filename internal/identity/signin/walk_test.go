package signin

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/terms"
	"github.com/cardea-id/cardea/internal/identity/token"
)

// walker is a browser that goes its own way, and what was proved with it as far
// as the model knows.
type walker struct {
	*browser
	flows   []string        // that began in it
	proved  map[string]bool // "ada pwd": sent right since the last alarm
	allowed map[string]bool // flows in which it said yes
}

// walk is a world in which browsers go their ways at random.
type walk struct {
	*world
	rt       *rapid.T
	app      phone
	names    map[string]string // of principals
	word     map[string]string // their passwords by now, by name
	living   map[string]string // credentials, by name
	walkers  []*walker
	tokens   []string // of forms that anybody was shown, the newest last
	trail    []string
	straight bool // nothing but what is right, for as long as it is set
	in, out  int  // how often somebody was signed in, and a flow ended well
	renewed  int  // and a password was replaced
	t        *testing.T
}

// The endpoints of all steps.
var walked = []string{"/signin", "/signin?other=1", "/signin/renew", "/signin/code", "/signin/passkey", pathFactor, pathEnrol, pathStuck, "/signin/keep",
	"/signin/terms", "/accounts", "/consent", "/back", "/signout", "/device", PathApprovals}

var (
	doTag   = regexp.MustCompile(`name="do" value="([^"]*)"`)
	formVal = regexp.MustCompile(`name="form" value="([^"]*)"`)
)

// MF-07: browsers walk at random over every endpoint, by the forms that they are
// shown and by forms put together of whatever anybody was shown, in flows of
// their own and of others, with right and wrong input, while time passes and an
// alarm may be raised. No session is there that rests on less than what was
// sent right in the same browser since, and no flow ends below what it demands.
// Let prove skip where, or living return everything, to see it fail.
func TestNoRandomWalkLeadsPastTheGate(t *testing.T) {
	w := newWorld(t, audittest.New(t, dbtest.Open(t, db.SQLite)))
	w.set(t, "guess_limit", 100)
	w.Limiter = nil
	_, err := w.terms.Create(context.Background(), audittest.By, dbtest.Realm, terms.New{Document: "terms", Version: "1", Title: "Terms", Text: "Be kind."})
	must(t, err)
	k := walk{world: w, names: map[string]string{}, t: t}
	alarmed, n := true, 0
	rapid.Check(t, func(rt *rapid.T) {
		if alarmed { // whoever said that it was not them starts anew
			n++
			ada, eve := w.mustPerson(t, dbtest.Realm, fmt.Sprintf("ada%d", n), "Ada"), w.mustPerson(t, dbtest.Realm, fmt.Sprintf("eve%d", n), "Eve")
			k.app, k.names = w.mustApp(t, dbtest.Realm, ada), map[string]string{ada.ID: ada.Name, eve.ID: eve.Name}
			k.word, k.living = map[string]string{ada.Name: password, eve.Name: password}, map[string]string{}
			for id, name := range k.names {
				k.living[name] = k.passwordOf(id)
			}
			alarmed = false
		}
		w.toPhotoBook(func(f *Flow) { f.ACR = token.AAL2 })
		k.rt, k.walkers, k.tokens, k.trail = rt, nil, nil, nil
		for range 2 {
			b := &walker{browser: w.browser(t, dbtest.Realm), proved: map[string]bool{}, allowed: map[string]bool{}}
			b.stays = true
			k.walkers = append(k.walkers, b)
			k.begin(b)
		}
		k.straight = true // so that walks begin anywhere
		for range rapid.IntRange(0, 6).Draw(rt, "straight") {
			w.outcome = nil
			k.honest(k.walkers[0])
			k.check(k.walkers[0])
		}
		k.straight = false
		for range rapid.IntRange(4, 24).Draw(rt, "steps") {
			b := k.walkers[min(rapid.IntRange(0, 3).Draw(rt, "browser"), 1)]
			w.outcome = nil
			switch rapid.IntRange(0, 19).Draw(rt, "what") {
			case 0:
				k.begin(b)
			case 1:
				w.Clock.Advance(rapid.SampledFrom([]time.Duration{time.Minute, 6 * time.Minute, 31 * time.Minute}).Draw(rt, "pause"))
			case 2:
				for id, name := range k.names {
					if strings.HasPrefix(name, "ada") && rapid.Bool().Draw(rt, "alarm") {
						must(t, w.Risk.Disown(context.Background(), audittest.By, dbtest.Realm, id, nil))
						alarmed = true
						for _, b := range k.walkers {
							b.proved[name+" pwd"], b.proved[name+" otp"] = false, false
						}
						k.trail = append(k.trail, "alarm")
					}
				}
			case 3, 4, 5, 6, 7:
				k.wild(b)
			default:
				k.honest(b)
			}
			k.check(b)
		}
	})
	if k.in == 0 || k.out == 0 {
		t.Errorf("nobody got anywhere: %d sessions, %d flows", k.in, k.out)
	}
	t.Logf("%d sessions were seen, %d flows ended well and %d passwords were replaced", k.in, k.out, k.renewed)
}

func (k *walk) begin(b *walker) {
	k.send(b, "GET", "/go", nil)
	if u, err := url.Parse(b.header.Get("Location")); err == nil && u.Query().Get("flow") != "" {
		b.flows = append(b.flows, u.Query().Get("flow"))
	}
	k.follow(b)
}

// send sends one request and notes what is proved if it is right.
func (k *walk) send(b *walker, method, path string, form url.Values) {
	k.trail = append(k.trail, fmt.Sprintf("%d %s %s %v", slices.Index(k.walkers, b), method, path, form))
	for _, name := range k.names {
		if method == "POST" && form.Get("identifier") == name && form.Get("password") == k.word[name] {
			b.proved[name+" pwd"] = true
		}
		if method == "POST" && strings.HasPrefix(name, "ada") && form.Get("code") == k.app.code() {
			b.proved[name+" otp"] = true
		}
	}
	if method == "POST" && strings.HasPrefix(path, "/consent") && form.Get("do") == "allow" {
		b.allowed[form.Get("flow")] = true
	}
	b.send(method, b.base+path, form)
	if strings.HasPrefix(path, "/signin/renew") {
		k.checkRenewed(b, form)
	}
	for _, m := range formVal.FindAllStringSubmatch(b.body, -1) {
		k.tokens = append(k.tokens, unescaper.Replace(m[1]))
	}
}

// passwordOf is the credential that is somebody's password.
func (k *walk) passwordOf(id string) string {
	all, err := k.cores.Credentials.List(context.Background(), dbtest.Realm, id)
	must(k.t, err)
	i := slices.IndexFunc(all, func(c credential.Credential) bool { return c.Type == credential.Password })
	return all[i].ID
}

// checkRenewed holds the replacement of a password to what was proved before.
func (k *walk) checkRenewed(b *walker, form url.Values) {
	for id, name := range k.names {
		now := k.passwordOf(id)
		if now == k.living[name] {
			continue
		}
		if !b.proved[name+" pwd"] || strings.HasPrefix(name, "ada") && !b.proved[name+" otp"] {
			k.rt.Fatalf("the password of %s was replaced where %v was proved\n%s", name, b.proved, strings.Join(k.trail, "\n"))
		}
		k.living[name], k.word[name] = now, form.Get("new")
		k.renewed++
	}
}

// follow goes where the browser was sent to, if that is a page of ours.
func (k *walk) follow(b *walker) {
	for range 6 {
		to := b.header.Get("Location")
		path, ours := strings.CutPrefix(to, "/realms/"+dbtest.Realm)
		if !ours {
			return
		}
		k.send(b, "GET", path, nil)
	}
}

// honest fills in a form of the page where the browser is, mostly as it is
// meant, and follows where that leads.
func (k *walk) honest(b *walker) {
	forms := formTag.FindAllStringSubmatch(b.body, -1)
	if len(forms) == 0 {
		k.send(b, "GET", "/signin?flow="+k.flow(b), nil)
		k.follow(b)
		return
	}
	f, sane := forms[0], k.straight || rapid.IntRange(0, 4).Draw(k.rt, "sane") > 0
	if !sane {
		f = rapid.SampledFrom(forms).Draw(k.rt, "form")
	}
	values := url.Values{}
	for _, in := range inputTag.FindAllString(f[2], -1) {
		if n, v := nameAttr.FindStringSubmatch(in), valAttr.FindStringSubmatch(in); n != nil {
			values.Set(n[1], "")
			if v != nil {
				values.Set(n[1], unescaper.Replace(v[1]))
			}
		}
	}
	k.fill(values, func(name string) bool { return values.Has(name) })
	buttons := []string{"", "later", "allow", "yes"}
	for i, m := range doTag.FindAllStringSubmatch(f[2], -1) {
		if buttons = append(buttons, m[1]); i == 0 {
			buttons[0] = m[1]
		}
	}
	if values.Set("do", buttons[0]); !sane {
		values.Set("do", rapid.SampledFrom(buttons).Draw(k.rt, "do"))
	}
	if !k.straight && rapid.IntRange(0, 7).Draw(k.rt, "other flow") == 0 {
		values.Set("flow", k.flow(b))
	}
	if path, ours := strings.CutPrefix(unescaper.Replace(f[1]), "/realms/"+dbtest.Realm); ours {
		k.send(b, "POST", path, values)
		if k.straight || rapid.IntRange(0, 9).Draw(k.rt, "stay") > 0 {
			k.follow(b)
		}
	}
}

// wild sends something to some endpoint that nobody was asked for.
func (k *walk) wild(b *walker) {
	path := rapid.SampledFrom(walked).Draw(k.rt, "path")
	values := url.Values{"flow": {k.flow(b)}, "by": {rapid.SampledFrom([]string{"", "totp", "recovery", "passkey", "email"}).Draw(k.rt, "by")}}
	if rapid.Bool().Draw(k.rt, "get") {
		path, query, _ := strings.Cut(path, "?")
		k.send(b, "GET", path+"?"+query+"&"+values.Encode(), nil)
		return
	}
	if len(k.tokens) > 0 {
		recent := k.tokens[max(0, len(k.tokens)-8):]
		values.Set("form", rapid.SampledFrom(recent).Draw(k.rt, "token"))
	}
	values.Set("do", rapid.SampledFrom([]string{"", "later", "allow", "yes", "check", "add", "cancel", "mail", "again"}).Draw(k.rt, "do"))
	k.fill(values, func(string) bool { return rapid.Bool().Draw(k.rt, "has") })
	for _, one := range b.sessions() {
		values.Set("account", one.ID)
	}
	path, _, _ = strings.Cut(path, "?")
	k.send(b, "POST", path, values)
}

// fill fills in what proves something.
func (k *walk) fill(values url.Values, has func(string) bool) {
	var names []string
	for _, name := range k.names {
		names = append(names, name)
	}
	slices.Sort(names) // ada before eve
	if has("identifier") {
		values.Set("identifier", names[max(0, rapid.IntRange(-3, 1).Draw(k.rt, "identifier"))])
	}
	if has("password") {
		who := names[0]
		if named := values.Get("identifier"); k.word[named] != "" {
			who = named
		}
		values.Set("password", k.word[who])
		if !k.straight && rapid.IntRange(0, 4).Draw(k.rt, "wrong") == 0 {
			values.Set("password", "not the password at all")
		}
	}
	if has("new") {
		values.Set("new", k.word[names[0]]+" anew")
	}
	if has("code") {
		values.Set("code", "000000")
		if k.straight || rapid.IntRange(0, 4).Draw(k.rt, "right") > 0 {
			k.Clock.Advance(30 * time.Second)
			values.Set("code", k.app.code())
		}
	}
	if has("remember") {
		values.Set("remember", "yes")
	}
}

// flow is any that anybody began, or none.
func (k *walk) flow(b *walker) string {
	all := append([]string{""}, b.flows...)
	for _, o := range k.walkers {
		all = append(all, o.flows...)
	}
	return rapid.SampledFrom(all).Draw(k.rt, "flow")
}

// check holds what there is to what was proved.
func (k *walk) check(acted *walker) {
	fail := func(format string, args ...any) {
		k.rt.Helper()
		k.rt.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(k.trail, "\n"))
	}
	if acted.status >= 500 {
		fail("%s: %d\n%s", acted.at, acted.status, acted.body)
	}
	for i, b := range k.walkers {
		for _, s := range b.sessions() {
			k.in++
			name := k.names[s.Principal]
			if !b.proved[name+" pwd"] || strings.HasPrefix(name, "ada") && !b.proved[name+" otp"] {
				fail("browser %d: a session of %s where %v was proved", i, name, b.proved)
			}
			if s.ACR != token.AAL1 && !b.proved[name+" otp"] {
				fail("browser %d: %s at %s where %v was proved", i, name, s.ACR, b.proved)
			}
		}
	}
	if o := k.outcome; o != nil && o.Session != nil && !o.Denied {
		if flow := acted.at.Query().Get("flow"); o.Session.ACR != token.AAL2 || !o.Consented || !acted.allowed[flow] {
			fail("the flow ended with %+v", o)
		}
		k.out++
	}
}
