package apptest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// P-24: the mail server is away for ten minutes. Sign-ins and changes go on as if
// it were there, and every letter arrives when it is back, once.
func TestTheMailServerMayBeAway(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		ctx := context.Background()
		ada := w.Person(t, realm.Default, "ada@example.com")
		e.Mail.Fail(errors.New("connect to mail.example.org:587: connection refused"))
		const minutes = 10
		v := w.visitor()
		for range minutes {
			began := time.Now()
			v.mustSignIn(t, "ada@example.com")
			if _, err := e.Passwords.Set(ctx, audit.Actor{Kind: "person", ID: ada.ID}, realm.Default, ada.ID, secret.Text(Password)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("a sign-in and a change took %s", took)
			}
			e.Clock.Advance(time.Minute)
		}
		if n := len(e.Mail.All()); n != 0 {
			t.Fatalf("%d letters got through", n)
		}
		e.Settle(t) // an attempt still under way would count its hour from later
		e.Mail.Fail(nil)
		e.Clock.Advance(time.Hour) // the longest that the queue waits
		e.Settle(t)
		changed := 0
		for _, m := range e.Mail.To("ada@example.com") {
			if m.Subject == "Your password was changed" {
				changed++
			}
		}
		if changed != minutes {
			t.Errorf("%d letters of %d arrived", changed, minutes)
		}
		if waiting, dead, err := e.Jobs.Depth(ctx); err != nil || waiting != 0 || dead != 0 {
			t.Errorf("%d jobs wait, %d were given up, %v", waiting, dead, err)
		}
	})
}

// AU-04: what a letter brings stands in no record, in no error, and in no row of
// the database in clear, neither while it waits nor when it has failed.
func TestWhatLettersBringIsNowhereElse(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		ctx := context.Background()
		const canary = "canary7f21"
		e.Mail.Fail(errors.New("away"))
		err := e.DB.Update(ctx, realm.Default, func(tx *db.Tx) error {
			return e.Letters.SendTx(tx, letter.Letter{Kind: "link", To: "ada@example.com", Link: "/x?link=" + canary, Code: canary, Life: time.Minute})
		})
		if err != nil {
			t.Fatal(err)
		}
		e.Tried(t, job.Waiting)
		e.Clock.Advance(time.Hour)
		dead := e.Tried(t, job.Dead)
		text, err := json.Marshal(e.Events(t, realm.Default))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := rowsOf(e, dead.ID)
		if err != nil {
			t.Fatal(err)
		}
		if all := string(text) + dead.LastError + rows; strings.Contains(all, canary) || strings.Contains(all, "ada@example.com") {
			t.Errorf("it is told:\n%s", all)
		}
	})
}

// rowsOf is the job's row as whoever has the database reads it.
func rowsOf(e *Env, id string) (text string, err error) {
	err = e.DB.View(context.Background(), realm.Default, func(tx *db.Tx) error {
		payload, err := db.One(tx, db.Scalar[[]byte], `SELECT payload FROM jobs WHERE realm = $1 AND id = $2`, tx.Realm, id)
		if err == nil && len(payload) == 0 {
			err = errors.New("the payload is gone already")
		}
		text = string(payload)
		return err
	})
	return text, err
}

// The link of a notice leads to the page on which its reader says that it was
// not them, and asks before it does anything.
func TestTheReaderOfANoticeCanSayItWasNotThem(t *testing.T) {
	e := Start(t, db.SQLite)
	w := settle(t, e)
	ada := w.Person(t, realm.Default, "ada@example.com")
	if _, _, err := e.Factors.NewRecovery(context.Background(), audit.Actor{Kind: "person", ID: ada.ID}, realm.Default, ada.ID); err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(e.Letter(t, "ada@example.com").Text, "This wasn’t me:\n"+Issuer)
	if !ok {
		t.Fatal("the notice has no link")
	}
	link := strings.Fields(rest)[0]
	for range 2 { // programs open links, and use nothing up
		if c := w.visitor().open("GET", link, nil); c.Code != 200 || !strings.Contains(c.Body.String(), `name="link"`) {
			t.Errorf("%s: %d", link, c.Code)
		}
	}
	if c := w.visitor().open("GET", link+"x", nil); c.Code != 404 {
		t.Errorf("another link: %d", c.Code)
	}
}
