package api_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
)

// Operators see what a client did between two moments, token by token, in their realm.
func TestActivityIsListed(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		flush := func() {
			t.Helper()
			if err := e.Log.FlushActivity(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		e.Clock.Advance(time.Minute)
		since := e.Clock.Now().UTC()
		note := func(in string, i int) {
			e.Log.Activity(in, audit.Actor{Kind: "client", ID: "app", IP: "192.0.2.1", UserAgent: "Go"},
				audit.Activity{Action: "token.issue", Target: "gnt_x", Data: audit.Details{"jti", fmt.Sprint("jti", i), "client", "app"}})
			e.Clock.Advance(time.Second)
		}
		for i := range 5 {
			note(realm.Default, i)
		}
		until := e.Clock.Now().UTC()
		note(realm.Default, 5)
		note(apptest.Neighbour, 6)
		e.Log.Activity(realm.Default, audit.Actor{Kind: "anonymous", IP: "192.0.2.2"}, audit.Activity{Action: "signin.refuse", Reason: "wrong_password"})
		flush()

		between := "client=app&since=" + url.QueryEscape(since.Format(time.RFC3339Nano)) + "&until=" + url.QueryEscape(until.Format(time.RFC3339Nano))
		var seen []string
		for after, pages := "", 0; ; pages++ {
			p := must[wire.ActivityPage](t, w.call(t, "viewer", "GET", "/activity?limit=2&"+between+"&after="+url.QueryEscape(after), nil))
			if len(p.Items) > 2 || pages > 4 {
				t.Fatalf("page %d has %d records", pages, len(p.Items))
			}
			for _, a := range p.Items {
				if a.Action != "token.issue" || a.Target != "gnt_x" || a.Actor.IP != "192.0.2.1" || a.Actor.UserAgent != "Go" || a.Data["client"] != "app" {
					t.Errorf("%+v", a)
				}
				seen = append(seen, a.Data["jti"])
			}
			if after = p.Next; after == "" {
				break
			}
			if p.Reached == nil {
				t.Error("the page does not say up to when it looked back")
			}
		}
		if fmt.Sprint(seen) != "[jti4 jti3 jti2 jti1 jti0]" {
			t.Errorf("got %v", seen)
		}
		for q, want := range map[string]int{"jti=jti3": 1, "jti=jti6": 0, "action=signin.": 1, "ip=192.0.2.2": 1, "target=gnt_x": 6, "actor=app": 6, "session=ses_1": 0, "client=nobody": 0} {
			if p := must[wire.ActivityPage](t, w.call(t, "viewer", "GET", "/activity?"+q, nil)); len(p.Items) != want || p.Items == nil || p.Next != "" {
				t.Errorf("?%s: %+v", q, p)
			}
		}
		for _, q := range []string{"after=x", "after=act_0", "after=act_~.1", "limit=501", "since=yesterday", "nonsense=1"} {
			if rec := w.call(t, "viewer", "GET", "/activity?"+q, nil); rec.Code != 400 && rec.Code != 422 {
				t.Errorf("?%s: got %d %s", q, rec.Code, rec.Body)
			}
		}
		refused(t, "nobody's operator", w.call(t, "plain", "GET", "/activity", nil), 403, "")
	})
}

// The answer to a verification says what is wrong with activity, and never that a log
// is intact whose activity is not.
func TestVerificationReadsActivity(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		e.Log.Activity(realm.Default, audit.System, audit.Activity{Action: "a.b"})
		if err := e.Log.FlushActivity(t.Context()); err != nil {
			t.Fatal(err)
		}
		v := must[wire.LogVerified](t, w.call(t, "admin", "POST", "/events/verify", nil))
		if !v.Intact || v.Next != "" || v.Root == "" || v.Segments == 0 || v.Size == 0 || v.Of != v.Size {
			t.Fatalf("%+v", v)
		}
		refused(t, "a token of nobody's", w.call(t, "admin", "POST", "/events/verify?after=x", nil), 400, "page_token_invalid")
		if err := e.DB.System(context.Background(), func(tx *db.Tx) error {
			_, err := tx.Exec(`DELETE FROM activity WHERE realm = $1`, realm.Default)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if v = must[wire.LogVerified](t, w.call(t, "admin", "POST", "/events/verify", nil)); v.Intact || v.Problem == "" || v.Next != "" || v.Root != "" {
			t.Errorf("%+v", v)
		}
	})
}
