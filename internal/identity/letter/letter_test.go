package letter_test

import (
	"context"
	"errors"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/mail"
	"github.com/cardea-id/cardea/internal/realm"
)

// send promises a letter in a transaction of its own.
func send(t *testing.T, e *apptest.Env, in string, n letter.Letter) {
	t.Helper()
	if err := e.DB.Update(context.Background(), in, func(tx *db.Tx) error { return e.Letters.SendTx(tx, n) }); err != nil {
		t.Fatal(err)
	}
}

// sample is a letter of a kind with everything that it needs.
func sample(kind string) letter.Letter {
	n := letter.Letter{Kind: kind, Data: map[string]string{"device": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "place": "192.0.2.7", "factor": "Authenticator app", "day": "2026-12-24"}}
	n.Code, n.Link, n.Life = letter.Needs(kind, "4821 0937", "/there?link=cdx_secret", 10*time.Minute)
	return n
}

func TestALetterArrivesInThePersonsWords(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		ada := e.Person(t, realm.Default, "ada@example.com")
		if _, err := e.People.Update(context.Background(), audit.System, realm.Default, ada.ID, 0, principal.Change{Locale: new("de-AT")}); err != nil {
			t.Fatal(err)
		}
		n := sample("reset_password")
		n.Principal = ada.ID
		send(t, e, realm.Default, n)
		m := e.Letter(t, "ada@example.com")
		if m.Language != "de" || !strings.Contains(m.Text, "Guten Tag Ada,") || !strings.Contains(m.Text, "10 Minuten") {
			t.Errorf("in %s: %s\n%s", m.Language, m.Subject, m.Text)
		}
		for what, body := range map[string]string{"text": m.Text, "HTML": m.HTML} {
			if !strings.Contains(body, apptest.Issuer+"/there?link=cdx_secret") {
				t.Errorf("the %s has no link:\n%s", what, body)
			}
		}
	})
}

// The address of a link is the realm's, whatever anybody asks for (WB-05).
func TestLinksStayWithinTheRealm(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	for _, link := range []string{"https://evil.example/", "//evil.example/", "/\\evil.example", "evil", "/a/../../x", "/a\r\nBcc: x@example.com", "/a b", "/\"><b>"} {
		n := sample("reset_password")
		n.To, n.Link = "ada@example.com", link
		err := e.DB.Update(context.Background(), apptest.Neighbour, func(tx *db.Tx) error { return e.Letters.SendTx(tx, n) })
		if err == nil {
			t.Errorf("a letter leads to %q", link)
		}
	}
	n := sample("reset_password")
	n.To = "ada@example.com"
	send(t, e, apptest.Neighbour, n)
	if m := e.Letter(t, "ada@example.com"); !strings.Contains(m.Text, "\n"+apptest.IssuerOf(apptest.Neighbour)+"/there?link=cdx_secret\n") {
		t.Errorf("%s", m.Text)
	}
}

func TestNoLetterOfWhatWasRolledBack(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		changed := errors.New("changed my mind")
		n := sample("test")
		n.To = "ada@example.com"
		err := e.DB.Update(context.Background(), realm.Default, func(tx *db.Tx) error {
			if err := e.Letters.SendTx(tx, n); err != nil {
				return err
			}
			return changed
		})
		if !errors.Is(err, changed) {
			t.Fatal(err)
		}
		n.To = "grace@example.com"
		send(t, e, realm.Default, n)
		e.Letter(t, "grace@example.com")
		if got := e.Mail.To("ada@example.com"); len(got) != 0 {
			t.Errorf("got %d letters", len(got))
		}
	})
}

// Only an address that is proved to be a person's is written to for their sake,
// and only there are they called by their name.
func TestWhoIsWrittenTo(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	ctx := context.Background()
	p, err := e.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Person, DisplayName: "Buy at Example", Emails: []principal.Email{{Address: "victim@example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	n := sample("password_changed")
	n.Principal = p.ID
	send(t, e, realm.Default, n)
	n = sample("verify_email")
	n.Principal, n.To = p.ID, "victim@example.com"
	send(t, e, realm.Default, n)
	m := e.Letter(t, "victim@example.com")
	if len(e.Mail.To("victim@example.com")) != 1 || m.Subject != "Confirm your address for Cardea" {
		t.Errorf("got %q", m.Subject)
	}
	if strings.Contains(m.Text+m.HTML, "Buy") {
		t.Errorf("an unproved address is told a name of others' choice:\n%s", m.Text)
	}
}

// WB-02: what people chose is text in a letter, too, and nothing that mail
// programs make into a link.
func TestWhatPeopleChoseIsOnlyText(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	ctx := context.Background()
	for i, name := range []string{`<img src=x onerror=alert(1)>`, `www.evil.example`, `https://evil.example`, `evil.example`, "Ada 555-1234"} {
		address := "p" + string(rune('0'+i)) + "@example.com"
		p := e.Person(t, realm.Default, address)
		if _, err := e.People.Update(ctx, audit.System, realm.Default, p.ID, 0, principal.Change{DisplayName: &name, Profile: &principal.Profile{}}); err != nil {
			t.Fatal(err)
		}
		n := sample("new_device")
		n.Principal = p.ID
		n.Data = map[string]string{"device": "Mozilla/5.0 <script>alert(1)</script>\r\nBcc: x@example.com\u202e", "place": `"><b>`}
		send(t, e, realm.Default, n)
		m := e.Letter(t, address)
		if strings.Contains(m.HTML, "<script") || strings.Contains(m.HTML, "<img") || strings.Contains(m.HTML, `"><b>`) || strings.Contains(m.Text+m.HTML, "evil") {
			t.Errorf("%q is let in:\n%s", name, m.HTML)
		}
		if strings.Contains(m.Text, "\nBcc") || strings.Contains(m.Text, "\u202e") {
			t.Errorf("a line is broken or turned:\n%s", m.Text)
		}
	}
	if m := e.Mail.All()[0]; !strings.Contains(m.HTML, "&#34;&gt;&lt;b&gt;") || !strings.Contains(m.Text, "Unknown device") {
		t.Errorf("the place is not shown, or the device is:\n%s", m.HTML)
	}
}

var (
	tag   = regexp.MustCompile(`(?s)<style.*?</style>|<title>.*?</title>|<[^>]*>`)
	space = regexp.MustCompile(`\s+`)
)

// Every letter has words in every language, the same as text and as HTML, and
// none of it is the name of a missing message.
func TestEveryKindInEveryLanguage(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	words, err := i18n.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range words.Locales() {
		for _, kind := range letter.Kinds() {
			n := sample(kind)
			n.To, n.Locale = kind+"@"+l.Tag()+".example.com", l.Tag()
			send(t, e, realm.Default, n)
			m := e.Letter(t, n.To)
			if m.Language != l.Tag() || strings.Contains(m.Subject+m.Text+m.HTML, "letter.") || strings.ContainsAny(m.Subject+m.Text, "{}<>") {
				t.Errorf("%s in %s:\n%s\n%s", kind, l.Tag(), m.Subject, m.Text)
			}
			seen := space.ReplaceAllString(html.UnescapeString(tag.ReplaceAllString(m.HTML, " ")), " ")
			for para := range strings.SplitSeq(m.Text, "\n\n") {
				for line := range strings.SplitSeq(space.ReplaceAllString(para, " "), ": ") { // labels stand apart in HTML
					if line = strings.Trim(strings.TrimPrefix(line, "-- "), " :"); !strings.Contains(seen, line) && !strings.Contains(m.HTML, `href="`+line+`"`) && !strings.HasPrefix(para, "When") && !strings.HasPrefix(para, "Wann") {
						t.Errorf("%s in %s: the HTML lacks %q:\n%s", kind, l.Tag(), line, seen)
					}
				}
			}
			if line := longest(m.Text); len([]rune(line)) > 72 && !strings.Contains(line, "://") {
				t.Errorf("%s in %s: a line of %d: %s", kind, l.Tag(), len(line), line)
			}
		}
	}
}

func longest(text string) string {
	return slices.MaxFunc(strings.Split(text, "\n"), func(a, b string) int { return len([]rune(a)) - len([]rune(b)) })
}

func TestALetterIsHeldToItsKind(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	for what, n := range map[string]letter.Letter{
		"an unknown kind":     {Kind: "advertising", To: "ada@example.com"},
		"no link":             {Kind: "reset_password", To: "ada@example.com", Life: time.Minute},
		"no life":             {Kind: "reset_password", To: "ada@example.com", Link: "/x"},
		"a link not asked":    {Kind: "test", To: "ada@example.com", Link: "/x"},
		"a code not asked":    {Kind: "test", To: "ada@example.com", Code: "1"},
		"not an address":      {Kind: "test", To: "ada@example.com\r\nBcc: x@example.com"},
		"several addresses":   {Kind: "test", To: "ada@example.com,x@example.com"},
		"a name beside":       {Kind: "test", To: "Ada <ada@example.com>"},
		"a source route":      {Kind: "test", To: "@a,@b:ada@example.com"},
		"a quoted local part": {Kind: "test", To: `"a b"@example.com`},
	} {
		if err := e.DB.Update(context.Background(), realm.Default, func(tx *db.Tx) error { return e.Letters.SendTx(tx, n) }); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// The realm's operators say where answers go and what stands below.
func TestARealmHasItsOwnFoot(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	set := func(v map[string]any) error {
		_, err := e.Realms.Update(context.Background(), audit.System, apptest.Neighbour, 0, realm.Change{DisplayName: new("Neighbours & Co"), Settings: v})
		return err
	}
	if err := set(map[string]any{"mail_reply_to": "help@neighbour.example", "mail_footer": "Neighbours & Co\nMain Street 1", "default_language": "de"}); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]string{"mail_reply_to": "Help <help@neighbour.example>", "mail_footer": "a\r\nb"} {
		if err := set(map[string]any{name: v}); err == nil {
			t.Errorf("%s may be %q", name, v)
		}
	}
	n := sample("test")
	n.To = "ada@example.com"
	send(t, e, apptest.Neighbour, n)
	m := e.Letter(t, "ada@example.com")
	if m.Sender != "Neighbours & Co" || m.ReplyTo != "help@neighbour.example" || m.Language != "de" || !strings.HasSuffix(m.Text, "\nNeighbours & Co\nMain Street 1\n") || !strings.Contains(m.HTML, "Neighbours &amp; Co<br>Main Street 1") {
		t.Errorf("%+v", m)
	}
}

// What a letter brings is not brought when it is worth nothing any more, and
// operators see why.
func TestAnExpiredLetterIsNotDelivered(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		e.Mail.Fail(errors.New("away"))
		n := sample("code")
		n.To = "ada@example.com"
		send(t, e, realm.Default, n)
		e.Tried(t, job.Waiting)
		e.Mail.Fail(nil)
		e.Clock.Advance(n.Life)
		j := e.Tried(t, job.Dead)
		if len(e.Mail.All()) != 0 || !strings.Contains(j.LastError, "expired") {
			t.Errorf("%d letters, %s", len(e.Mail.All()), j.LastError)
		}
	})
}

// A mailbox that does not exist is not tried for a day.
func TestARefusedRecipientIsGivenUp(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	e.Mail.Fail(mail.ErrRefused)
	n := sample("test")
	n.To = "nobody@example.com"
	send(t, e, realm.Default, n)
	if j := e.Tried(t, job.Dead); j.Attempts != 1 {
		t.Errorf("%d attempts", j.Attempts)
	}
}

// Whoever asks for somebody else's letter chooses what their browser says, and
// writes nothing into it.
func TestBrowsersDictateNoLetters(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	const dictated = "Your account is locked. Call 555 0100 or visit evil.example"
	for _, kind := range []string{"link", "code_not_enough", "new_device"} {
		n := sample(kind)
		n.To, n.Data["device"] = kind+"@example.com", dictated
		if kind == "new_device" {
			n.Data["reason"] = "risk.new_device"
		}
		send(t, e, realm.Default, n)
		m := e.Letter(t, n.To)
		if strings.Contains(m.Text+m.HTML, "555 0100") || strings.Contains(m.Text+m.HTML, "evil.example") || !strings.Contains(m.Text, "Unknown device") {
			t.Errorf("%s:\n%s", kind, m.Text)
		}
	}
	n := sample("risk_notice")
	n.To, n.Data["device"], n.Data["reason"] = "risk@example.com", dictated, "risk.new_device"
	send(t, e, realm.Default, n)
	if m := e.Letter(t, n.To); strings.Contains(m.Text+m.HTML, "555 0100") {
		t.Errorf("%s", m.Text)
	}
}

// Whoever has an address can be written to: what is no address to the mail
// server, people cannot have, or their notices would stop what they tell of.
func TestAddressesOfPeopleCanBeWrittenTo(t *testing.T) {
	for _, address := range []string{"ada@example.com", "a\u2460@example.com", "\u2167@example.com", "\u00bd@example.com", "ﬁ@example.com", "ａ@example.com", "a\u00ad@example.com",
		"ł.ó@example.com", "a!#$%&'*+-/=?^_`{|}~@example.com", "a..b@example.com", "a@b_c.com", "a＠b@example.com", strings.Repeat("a", 64) + "@example.com"} {
		if principal.CheckEmail(address) == nil && mail.CheckAddress(address) != nil {
			t.Errorf("%q is a person's, and no letter reaches it", address)
		}
	}
}
