package signin

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/mail"
)

var (
	codeLine = regexp.MustCompile(`(?m)^ +(\d{4}) (\d{4})$`)
	linkLine = regexp.MustCompile(`(?m)^https://id\.example\.com/realms/test(/signin/code/link\S+)$`)
)

// written delivers what waits and gives the letters to an address, newest first.
func (w *world) written(t testing.TB, address string) []mail.Message {
	t.Helper()
	must(t, w.Jobs.RunDue(context.Background()))
	return w.mail.To(address)
}

// mailed is the code and the link of the newest letter.
func (w *world) mailed(t testing.TB, address string) (code, link string) {
	t.Helper()
	all := w.written(t, address)
	if len(all) == 0 {
		t.Fatalf("no letter to %s", address)
	}
	c, l := codeLine.FindStringSubmatch(all[0].Text), linkLine.FindStringSubmatch(all[0].Text)
	if c == nil || l == nil {
		t.Fatalf("no code or link:\n%s", all[0].Text)
	}
	return c[1] + c[2], l[1]
}

// askCode opens the sign-in page and asks for a code.
func (b *browser) askCode(identifier string) *browser {
	b.t.Helper()
	return b.get("/signin").submit("identifier", identifier, "do", "mail").isAt(pathMailCode).shows(200, "Check your mail")
}

// MF-10: a code by mail signs in where the realm allows it, at the first level
// and with what was proved; with a password it is still the first.
func TestACodeByMailReachesTheFirstLevel(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada Lovelace")
		b := w.browser(t, dbtest.Realm)
		if b.get("/signin"); strings.Contains(b.body, `value="mail"`) {
			t.Error("it is offered without the operator's wish")
		}
		b.submit("identifier", "ada", "password", "", "do", "signin").shows(422)
		w.set(t, "email_sign_in", "on")
		b.askCode("ada@example.com")
		code, _ := w.mailed(t, "ada@example.com")
		b.submit("code", code[:4]+" "+code[4:]).isAt("/").shows(200, "Ada Lovelace")
		one := b.sessions()[0]
		if one.ACR != token.AAL1 || !slices.Equal(one.AMR, []string{"otp"}) || one.Principal != ada.ID {
			t.Errorf("acr %q, amr %q", one.ACR, one.AMR)
		}
		w.toPhotoBook(noConsent, func(f *Flow) { f.ACR = token.AAL2 })
		// A mailbox is not enough to add a factor to a password (MF-09), and both
		// together are not the second level: a factor is to be added still.
		b.get("/go").isAt("/signin").submit("password", password).isAt(pathEnrol)
	})
}

// MF-10: the code is good where it was asked for, for ten minutes, once.
func TestACodeByMailIsBoundToItsBrowser(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.set(t, "email_sign_in", "on")
		b, other := w.browser(t, dbtest.Realm).askCode("ada"), w.browser(t, dbtest.Realm).askCode("eve")
		code, link := w.mailed(t, "ada@example.com")
		other.submit("code", code).shows(422, "isn’t the code")
		other.get(link).shows(200, "Your code", code[:4]+" "+code[4:], "tell it to nobody")
		if w.browser(t, dbtest.Realm).get(link).shows(200, "Your code"); len(other.sessions()) > 0 {
			t.Fatal("a link signs in elsewhere")
		}
		b.get(link).isAt(pathMailLink).shows(200, `value="`+code[:4]+" "+code[4:]+`"`)
		if len(b.sessions()) > 0 {
			t.Fatal("to open a link is to sign in: programs open links")
		}
		b.submit("do", "check").isAt("/")
		if len(b.sessions()) != 1 {
			t.Fatal("the link's page does not sign in")
		}
		// Used up, in a flow of its own too.
		again := w.browser(t, dbtest.Realm).askCode("ada")
		again.submit("code", code).shows(422)
		code, _ = w.mailed(t, "ada@example.com")
		w.Clock.Advance(mailLife)
		again.submit("code", code).shows(422, "isn’t good any more")
		again.submit("do", "again").isAt(pathMailCode)
		code, _ = w.mailed(t, "ada@example.com")
		again.submit("code", code).isAt("/")
	})
}

// MF-10: five tries, exactly, whoever tries at once, and the right one planted
// behind them opens nothing.
func TestACodeByMailHasFiveTries(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.set(t, "email_sign_in", "on", "guess_limit", 100)
		b := w.browser(t, dbtest.Realm).askCode("ada")
		code, _ := w.mailed(t, "ada@example.com")
		for i := range mailTries {
			b.submit("code", fmt.Sprintf("%08d", i)).shows(422)
		}
		b.submit("code", code).shows(422)
		if len(b.sessions()) > 0 {
			t.Fatal("the sixth try opened")
		}
		b.submit("do", "again")
		code, _ = w.mailed(t, "ada@example.com")
		var wg sync.WaitGroup
		for i := range 20 {
			c := *b
			wg.Go(func() { c.submit("code", fmt.Sprintf("%08d", i)) })
		}
		wg.Wait()
		for i := range mailTries { // those that were refused for being at once were no tries
			b.submit("code", fmt.Sprintf("%08d", i)).shows(422)
		}
		b.submit("code", code).shows(422)
		if len(b.sessions()) > 0 {
			t.Fatal("the right code opened behind the last try")
		}
	})
}

// Wrong codes count against the account with those at its other factors (MF-03).
func TestWrongCodesByMailCountAgainstTheAccount(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.set(t, "email_sign_in", "on", "guess_limit", 3)
		for _, who := range []string{"ada", "nobody"} {
			b := w.browser(t, dbtest.Realm).askCode(who)
			must(t, w.Jobs.RunDue(context.Background()))
			for i := range 3 {
				b.submit("code", fmt.Sprintf("%08d", i)).shows(422)
			}
			b.submit("code", "12345678").shows(429, "Too many attempts")
		}
	})
}

// Whoever asks for a code learns nothing of who there is, and no mailbox is
// flooded.
func TestAskingForACodeTellsNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.mustApp(t, dbtest.Realm, ada)
		w.mustPerson(t, dbtest.Realm, "bob", "Bob")
		gone := w.mustPerson(t, dbtest.Realm, "cyd", "Cyd")
		must(t, w.cores.Principals.Suspend(context.Background(), audittest.By, dbtest.Realm, gone.ID, "test"))
		w.set(t, "email_sign_in", "on")
		own := regexp.MustCompile(`(name="(form|flow)" value="|flow=)[^"]*"|\b(ada|bob|cyd|eve)@example\.com`)
		pages := map[string]string{}
		for _, who := range []string{"ada", "bob", "cyd", "eve"} {
			b := w.browser(t, dbtest.Realm).askCode(who + "@example.com")
			must(t, w.Jobs.RunDue(context.Background()))
			asked := own.ReplaceAllString(b.body, "")
			b.submit("code", "00000000")
			pages[asked+own.ReplaceAllString(b.body, "")] += who + " "
		}
		if len(pages) != 1 {
			t.Errorf("%d different pages: %q", len(pages), pages)
		}
		if n := len(w.mail.To("cyd@example.com")) + len(w.mail.To("eve@example.com")); n != 0 {
			t.Errorf("%d letters to those who cannot sign in", n)
		}
		// A mailbox is no way around a second factor, and its owner learns why.
		if all := w.written(t, "ada@example.com"); len(all) != 1 || all[0].Subject != "No code for Test" || codeLine.MatchString(all[0].Text) {
			t.Errorf("%v", all)
		}
		for range 10 {
			w.browser(t, dbtest.Realm).askCode("bob")
		}
		if n := len(w.written(t, "bob@example.com")); n != 5 {
			t.Errorf("%d letters in an hour", n)
		}
		w.Clock.Advance(time.Hour)
		w.browser(t, dbtest.Realm).askCode("bob")
		if n := len(w.written(t, "bob@example.com")); n != 6 {
			t.Errorf("%d letters after it", n)
		}
	})
}

// What the code rested on must hold when it is used, and a session that came of
// it ends with the address.
func TestACodeByMailDependsOnTheAddress(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		must(t, w.cores.Principals.AddEmail(ctx, audittest.By, dbtest.Realm, ada.ID, "ada@example.org", true))
		w.set(t, "email_sign_in", "on")
		in := w.browser(t, dbtest.Realm).askCode("ada")
		code, _ := w.mailed(t, "ada@example.com")
		in.submit("code", code).isAt("/")
		b := w.browser(t, dbtest.Realm).askCode("ada")
		code, _ = w.mailed(t, "ada@example.com")
		must(t, w.cores.Principals.SetPrimaryEmail(ctx, audittest.By, dbtest.Realm, ada.ID, "ada@example.org"))
		b.submit("code", code).shows(422)
		if len(in.sessions()) != 1 {
			t.Error("the session ended while the address is still theirs")
		}
		must(t, w.cores.Principals.RemoveEmail(ctx, audittest.By, dbtest.Realm, ada.ID, "ada@example.com"))
		if len(in.sessions()) != 0 {
			t.Error("the session outlives the address")
		}
	})
}

// MF-10 and PW-09: whether the letter was on its way already when somebody
// guessed does not show in how often they may. Count by the person alone to see
// it fail.
func TestGuessesAtCodesCountAlikeBeforeTheLetter(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.set(t, "email_sign_in", "on", "guess_limit", 3)
		for _, who := range []string{"ada", "nobody"} {
			b := w.browser(t, dbtest.Realm).askCode(who)
			b.submit("code", "00000001").shows(422)
			b.submit("code", "00000002").shows(422)
			must(t, w.Jobs.RunDue(context.Background()))
			b.submit("code", "00000003").shows(422)
			b.submit("code", "00000004").shows(429, "Too many attempts")
		}
	})
}

// MF-05: strangers who have letters sent, and guess, keep nobody out who comes
// with a browser of theirs.
func TestStrangersUseUpNobodysCodes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.set(t, "email_sign_in", "on", "guess_limit", 3)
		owner := w.browser(t, dbtest.Realm).signIn("ada").isAt("/")
		owner.setCookie("__Host-cardea-test", "")
		for i := range 6 {
			b := w.browser(t, dbtest.Realm).askCode("ada")
			must(t, w.Jobs.RunDue(context.Background()))
			b.submit("code", fmt.Sprintf("%08d", i))
		}
		sent := len(w.written(t, "ada@example.com"))
		owner.askCode("ada")
		if n := len(w.written(t, "ada@example.com")); n != sent+1 {
			t.Fatalf("%d letters after %d", n, sent)
		}
		code, _ := w.mailed(t, "ada@example.com")
		owner.submit("code", code).isAt("/")
	})
}
