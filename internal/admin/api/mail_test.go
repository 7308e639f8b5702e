package api_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/realm"
)

// An operator sees whether mail works, and why not.
func TestOperatorsTryMail(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		until := func(id string, as func(wire.Job) bool) (j wire.Job) {
			t.Helper()
			for late := time.Now().Add(20 * time.Second); !as(j); {
				if time.Now().After(late) {
					t.Fatalf("it is %+v", j)
				}
				<-time.After(5 * time.Millisecond)
				j = must[wire.Job](t, w.call(t, "admin", "GET", "/jobs/"+id, nil))
			}
			return j
		}
		j := must[wire.Job](t, w.call(t, "admin", "POST", "/mail-tests", wire.MailTest{To: "ops@example.com"}))
		until(j.ID, func(j wire.Job) bool { return j.State == "done" })
		if m := e.Letter(t, "ops@example.com"); m.Subject != "Mail from Cardea works" {
			t.Errorf("got %q", m.Subject)
		}
		e.Mail.Fail(errors.New("connect to mail.example.org:587: connection refused"))
		j = must[wire.Job](t, w.call(t, "admin", "POST", "/mail-tests", wire.MailTest{To: "ops@example.com"}))
		j = until(j.ID, func(j wire.Job) bool { return j.LastError != "" })
		if j.State != "waiting" || !strings.Contains(j.LastError, "connection refused") || j.AttemptsLeft == 0 {
			t.Errorf("%+v", j)
		}
		for _, to := range []string{"", "ops", "ops@example.com\r\nBcc: eve@example.com", "a@example.com,b@example.com"} {
			refused(t, to, w.call(t, "admin", "POST", "/mail-tests", wire.MailTest{To: to}), 400, "to_invalid")
		}
		refused(t, "a viewer", w.call(t, "viewer", "POST", "/mail-tests", wire.MailTest{To: "ops@example.com"}), 403, "not_permitted")
		tests := 0
		for _, r := range e.Events(t, realm.Default) {
			if r.Action == "mail.test" {
				tests++
			}
		}
		if tests != 2 {
			t.Errorf("%d events", tests)
		}
	})
}
