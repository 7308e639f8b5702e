package signin

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/terms"
)

// letter is the path in the newest letter to an address, once all jobs are done.
func (w *world) letter(t *testing.T, to string) string {
	t.Helper()
	must(t, w.jobs.RunDue(context.Background()))
	for i := len(w.letters) - 1; i >= 0; i-- {
		if w.letters[i].To == to {
			return w.letters[i].Link
		}
	}
	t.Fatalf("no letter to %s: %v", to, w.letters)
	return ""
}

// Whoever registers on the way to an application gets there.
func TestRegisteringLeadsOn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b := w.browser(t, dbtest.Realm)
		b.get("/register").shows(404, "This is not offered here")
		if b.get("/signin"); strings.Contains(b.body, "/register") {
			t.Error("offered where it is off")
		}
		w.set(t, "self_registration", "on")
		w.toPhotoBook()
		b.get("/go").shows(200, "Make an account")
		flow := b.at.Query().Get("flow")
		b.get("/register?flow="+flow).submit("to", "no address").shows(422, "Make an account")
		b.submit("to", "new@example.com").shows(200, "Look into your mailbox")
		path := w.letter(t, "new@example.com")
		b.get(path).shows(200, "new@example.com", "Make the account")
		b.submit("name", "New", "password", "short").shows(422, "Use at least 15 characters", `value="New"`)
		b.submit("name", "New", "password", password).isAt("/signin")
		if len(b.sessions()) != 0 || !strings.Contains(b.body, `value="new@example.com"`) {
			t.Errorf("%d sessions, at %s:\n%s", len(b.sessions()), b.at, b.body)
		}
		b.submit("identifier", "new@example.com", "password", password).shows(200)
		if len(b.sessions()) != 1 {
			t.Errorf("%d sessions", len(b.sessions()))
		}
		b.get(path).shows(404, "This link is no longer good")
		// In another browser the link would have worked as well, and led home.
		other := w.browser(t, dbtest.Realm)
		other.get("/register").submit("to", "else@example.com").shows(200, "Look into your mailbox")
		w.browser(t, dbtest.Realm).get(w.letter(t, "else@example.com")).submit("name", "Else", "password", password).isAt("/signin")
	})
}

// Where passwords do not count, nobody is asked for one: neither to sign in nor to
// make an account, which opens by a code until there is a passkey.
func TestWherePasswordsDoNotCountNobodyIsAskedForOne(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.set(t, "self_registration", "on", "factors", "passkey email")
		b := w.browser(t, dbtest.Realm)
		lacks := func(all ...string) {
			t.Helper()
			for _, what := range all {
				if strings.Contains(b.body, what) {
					t.Errorf("%s shows %s:\n%s", b.at, what, b.body)
				}
			}
		}
		b.get("/signin").shows(200, "Sign in with a passkey", "For this you need JavaScript")
		lacks(`type="password"`, `name="identifier"`, "/forgot", "/register") // nobody new could get in
		b.get("/forgot").shows(404)
		b.get("/register").shows(404)
		w.set(t, "email_sign_in", "on")
		b.get("/signin").shows(200, `name="identifier"`, "Send me a code", "Sign in with a passkey", "/register")
		lacks(`type="password"`, "/forgot", "For this you need JavaScript")
		b.get("/register").submit("to", "new@example.com").shows(200, "Look into your mailbox")
		b.get(w.letter(t, "new@example.com")).shows(200, "Choose a name for")
		lacks(`type="password"`)
		b.submit("name", "New").isAt("/signin").shows(200, `value="new@example.com"`)
		lacks("Your password is saved")
		b.submit("identifier", "new@example.com", "do", "mail").isAt(pathMailCode)
		code, _ := w.mailed(t, "new@example.com")
		b.submit("code", code).shows(200)
		if len(b.sessions()) != 1 {
			t.Fatalf("%d sessions at %s", len(b.sessions()), b.at)
		}
		all, err := w.cores.Credentials.List(t.Context(), dbtest.Realm, b.sessions()[0].Principal)
		must(t, err)
		for _, c := range all {
			if c.Type == credential.Password {
				t.Error("a password was made all the same")
			}
		}
	})
}

// PW-09, PW-10: to ask for a letter looks the same whoever asks for whom.
func TestAskingForALetterTellsNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.set(t, "self_registration", "on")
		for path, to := range map[string][]string{"/forgot": {"ada", "ada@example.com", "nobody"}, "/register": {"ada@example.com", "new@example.com"}} {
			first := ""
			for _, who := range to {
				b := w.browser(t, dbtest.Realm)
				b.get(path).submit("to", who).shows(200, "Look into your mailbox")
				if first == "" {
					first = b.body
				}
				if strings.Contains(b.body, who) || b.body != first {
					t.Errorf("%s for %s looks otherwise:\n%s", path, who, b.body)
				}
			}
		}
	})
}

// What is in force is accepted before a session begins, and again when there is
// another version.
func TestTermsAreAcceptedBeforeASessionBegins(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		p := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		first, err := w.terms.Create(ctx, audittest.By, dbtest.Realm, terms.New{Document: "terms", Version: "1", Title: "Terms of service", Text: "Be kind.\n<b>Always.</b>"})
		must(t, err)
		_, err = w.terms.Create(ctx, audittest.By, dbtest.Realm, terms.New{Document: "terms", Version: "2", Title: "Terms of service", Link: "https://example.com/terms", Effective: w.Env.DB.Now().Add(time.Hour)})
		must(t, err)
		b := w.browser(t, dbtest.Realm).signIn("ada")
		b.isAt("/signin/terms").shows(200, "Be kind.", "&lt;b&gt;Always.", "version 1")
		if len(b.sessions()) != 0 {
			t.Fatal("a session began before the terms were accepted")
		}
		b.submit("do", "no")
		if len(b.sessions()) != 0 {
			t.Fatal("a session began although the terms were not accepted")
		}
		b.signIn("ada").submit("do", "yes")
		if len(b.sessions()) != 1 {
			t.Fatalf("%d sessions at %s", len(b.sessions()), b.at)
		}
		if all, err := w.terms.AcceptedBy(ctx, dbtest.Realm, p.ID); err != nil || len(all) != 1 || all[0].Terms != first.ID {
			t.Errorf("accepted %v, %v", all, err)
		}
		w.toPhotoBook()
		if b.get("/go"); strings.HasSuffix(b.at.Path, "/signin/terms") {
			t.Errorf("asked again at %s", b.at)
		}
		w.Clock.Advance(2 * time.Hour)
		b.get("/go").isAt("/signin/terms").shows(200, "version 2", "https://example.com/terms")
		b.submit("do", "yes")
		if strings.HasSuffix(b.at.Path, "/signin/terms") {
			t.Errorf("asked again at %s", b.at)
		}
	})
}

// An account that is to be deleted is kept before a session begins.
func TestWhoeverComesBackKeepsTheirAccount(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		p := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		b := w.browser(t, dbtest.Realm).signIn("ada")
		b.get("/account/data").shows(200, "Delete your account", "Download")
		b.submit("sure", "yes").shows(200, "Your account is to be deleted")
		if len(b.sessions()) != 0 {
			t.Error("still signed in")
		}
		b.signIn("ada").isAt("/signin/keep").shows(200, "Keep your account?")
		if b.submit("do", "no"); len(b.sessions()) != 0 {
			t.Error("signed in to an account that is to be deleted")
		}
		if due, err := w.desk.Leaving(ctx, dbtest.Realm, p.ID); err != nil || due.IsZero() {
			t.Errorf("due %s, %v", due, err)
		}
		if b.signIn("ada").submit("do", "yes"); len(b.sessions()) != 1 {
			t.Errorf("%d sessions at %s", len(b.sessions()), b.at)
		}
		if due, err := w.desk.Leaving(ctx, dbtest.Realm, p.ID); err != nil || !due.IsZero() {
			t.Errorf("due %s, %v", due, err)
		}
	})
}

// To change an address takes a fresh proof, and the link takes the same person.
func TestAddressesAreChangedByWhoseTheyAre(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		w.mustPerson(t, dbtest.Realm, "eve", "Eve")
		b := w.browser(t, dbtest.Realm).signIn("ada")
		w.Clock.Advance(6 * time.Minute)
		b.get("/account/email").isAt("/signin").submit("password", password).isAt("/account/email").shows(200, "New address")
		b.submit("to", "next@example.com").shows(200, "A message is on its way to next@example.com")
		path := w.letter(t, "next@example.com")
		eve := w.browser(t, dbtest.Realm).signIn("eve")
		eve.get(path).shows(404, "This link is no longer good")
		w.browser(t, dbtest.Realm).get(path).isAt("/signin").submit("identifier", "ada", "password", password).isAt("/account/email/confirm").shows(200, "next@example.com")
		b.get(path).shows(200, "next@example.com").submit("link", strings.TrimPrefix(path, "/account/email/confirm?link=")).shows(200, "Your address is confirmed")
		b.get("/account/email").shows(200, "next@example.com")
		b.get(path).shows(404)
	})
}

// PW-10: whoever takes a change back chooses a new password next, and nobody is
// signed in by it.
func TestAChangeIsTakenBackOnAPage(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		b, was := w.changedAddress(t)
		owner := w.browser(t, dbtest.Realm)
		owner.get(w.letter(t, was)).shows(200, "Take the change back?", was)
		if last := w.letters[len(w.letters)-1]; last.To != was || last.Data["place"] == "" {
			t.Errorf("%s is not told from where: %+v", was, last)
		}
		owner.submit("form", formOf(owner)).isAt("/set-password").shows(200, "Choose your password")
		if len(owner.sessions()) != 0 || len(b.sessions()) != 0 {
			t.Error("somebody is signed in")
		}
	})
}

func formOf(b *browser) string {
	for _, in := range inputTag.FindAllString(b.body, -1) {
		if n := nameAttr.FindStringSubmatch(in); n != nil && n[1] == "form" {
			return unescaper.Replace(valAttr.FindStringSubmatch(in)[1])
		}
	}
	return ""
}

// changedAddress has somebody in Ada's browser change her address, and gives the one
// that she had.
func (w *world) changedAddress(t *testing.T) (b *browser, was string) {
	t.Helper()
	w.mustPerson(t, dbtest.Realm, "ada", "Ada")
	b = w.browser(t, dbtest.Realm).signIn("ada")
	was = w.letterAddress(t, b)
	b.get("/account/email").submit("to", "thief@example.com")
	b.get(w.letter(t, "thief@example.com")).submit("form", formOf(b)).shows(200, "Your address is confirmed")
	return b, was
}

// letterAddress is the primary address of whoever is signed in.
func (w *world) letterAddress(t *testing.T, b *browser) string {
	t.Helper()
	p, err := w.People.ByID(context.Background(), dbtest.Realm, b.sessions()[0].Principal)
	must(t, err)
	return p.Email().Address
}

// Nobody is invited to an account that nothing would open: a code is mailed only to
// an address that was proved.
func TestNobodyIsInvitedToAnAccountThatNothingOpens(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		w.set(t, "factors", "passkey email", "email_sign_in", "on")
		if _, _, err := w.desk.Invite(ctx, audit.System, dbtest.Realm, life.NewInvitation{Address: "handed@example.com", Link: true}); fault.Code(err) != "newcomers_excluded" {
			t.Fatalf("a link to hand over: %v", err)
		}
		send := w.desk.Send
		w.desk.Send = nil
		if _, _, err := w.desk.Invite(ctx, audit.System, dbtest.Realm, life.NewInvitation{Address: "handed@example.com", Link: true}); err == nil || !strings.Contains(err.Error(), "set up mail") {
			t.Errorf("without mail: %v", err)
		}
		w.desk.Send = send
		i, _, err := w.desk.Invite(ctx, audit.System, dbtest.Realm, life.NewInvitation{Address: "new@example.com"})
		must(t, err)
		if _, _, err := w.desk.Resend(ctx, audit.System, dbtest.Realm, i.ID, 0, true); fault.Code(err) != "newcomers_excluded" {
			t.Fatalf("another link to hand over: %v", err)
		}
		b := w.browser(t, dbtest.Realm)
		b.get(w.letter(t, "new@example.com")).submit("name", "New").isAt("/signin")
		b.submit("identifier", "new@example.com", "do", "mail").isAt(pathMailCode)
		code, _ := w.mailed(t, "new@example.com")
		b.submit("code", code).isAt("/").shows(200, "New")
	})
}

// An invitation from before is not used up by an account that nobody can sign in to.
func TestAnInvitationWaitsWhileNobodyNewCouldSignIn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		_, link, err := w.desk.Invite(context.Background(), audit.System, dbtest.Realm, life.NewInvitation{Address: "new@example.com", Link: true})
		must(t, err)
		w.set(t, "factors", "passkey")
		b := w.browser(t, dbtest.Realm)
		b.get("/invitation?link="+string(link)).shows(409, "Nobody new can sign in at the moment")
		w.set(t, "factors", "password passkey")
		b.get("/invitation?link="+string(link)).shows(200, "Choose a name")
	})
}

// Who takes a change of address back is asked for no password where none counts.
func TestAChangeIsTakenBackWithoutAPasswordWhereNoneCounts(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		_, was := w.changedAddress(t)
		w.set(t, "factors", "passkey email", "email_sign_in", "on")
		owner := w.browser(t, dbtest.Realm)
		if owner.get(w.letter(t, was)).shows(200, "Take the change back"); strings.Contains(owner.body, "password") {
			t.Fatalf("a password is spoken of:\n%s", owner.body)
		}
		owner.submit("form", formOf(owner)).isAt("/signin")
	})
}

// No link sets a password where passwords do not count, be it from before.
func TestNoLinkSetsAPasswordThatDoesNotCount(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ctx := context.Background()
		ada := w.mustPerson(t, dbtest.Realm, "ada", "Ada")
		link, _, err := w.desk.PasswordLink(ctx, audit.System, dbtest.Realm, ada.ID)
		must(t, err)
		w.set(t, "factors", "passkey email", "email_sign_in", "on")
		w.browser(t, dbtest.Realm).get("/set-password?link="+string(link)).shows(404, "This link is no longer good")
		if _, _, err := w.desk.PasswordLink(ctx, audit.System, dbtest.Realm, ada.ID); fault.Code(err) != "passwords_excluded" {
			t.Errorf("a link to hand over: %v", err)
		}
		if err := w.desk.MailPasswordLink(ctx, audit.System, dbtest.Realm, ada.ID); fault.Code(err) != "passwords_excluded" {
			t.Errorf("a link by mail: %v", err)
		}
	})
}
