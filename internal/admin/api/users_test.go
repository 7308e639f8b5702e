package api_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/realm"
)

func TestUserLivesThroughTheAPI(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		made := must[wire.User](t, w.call(t, "admin", "POST", "/users", wire.UserCreate{Username: "ada", DisplayName: "Ada Lovelace",
			Emails: []wire.Email{{Address: "ada@example.com", Verified: true}}, Profile: wire.Profile{GivenName: "Ada"}}))
		if made.ID == "" || made.State != "active" || made.Emails[0].Address != "ada@example.com" || !made.Emails[0].Primary || made.Version != 1 {
			t.Errorf("got %+v", made)
		}
		for _, name := range []string{made.ID, "ada", "ADA@example.com"} {
			if found := must[wire.User](t, w.call(t, "viewer", "GET", "/users/"+url.PathEscape(name), nil)); found.ID != made.ID {
				t.Errorf("%s finds %s", name, found.ID)
			}
		}
		refused(t, "a second ada", w.call(t, "admin", "POST", "/users", wire.UserCreate{Username: "Ada"}), 409, "name_taken")

		name := "Countess"
		rec := w.call(t, "admin", "PATCH", "/users/"+made.ID, wire.UserUpdate{DisplayName: &name}, "If-Match", `"1"`)
		changed := must[wire.User](t, rec)
		if changed.DisplayName != "Countess" || changed.Username != "ada" || rec.Header().Get("ETag") != fmt.Sprintf("%q", fmt.Sprint(changed.Version)) {
			t.Errorf("got %+v with ETag %s", changed, rec.Header().Get("ETag"))
		}
		refused(t, "a stale version", w.call(t, "admin", "PATCH", "/users/"+made.ID, wire.UserUpdate{DisplayName: &name}, "If-Match", `"1"`), 412, "version_mismatch")
		for _, tag := range []string{`1`, `W/"1"`, `"01"`, `"x"`, `""`} {
			refused(t, "If-Match "+tag, w.call(t, "admin", "PATCH", "/users/"+made.ID, wire.UserUpdate{DisplayName: &name}, "If-Match", tag), 400, "if_match_invalid")
		}

		more := must[wire.User](t, w.call(t, "admin", "POST", "/users/"+made.ID+"/emails", wire.Email{Address: "ada@work.example"}))
		if len(more.Emails) != 2 {
			t.Errorf("got %+v", more.Emails)
		}
		yes := true
		moved := must[wire.User](t, w.call(t, "admin", "PATCH", "/users/"+made.ID+"/emails/"+url.PathEscape("ada@work.example"), wire.EmailUpdate{Primary: &yes, Verified: &yes}))
		if moved.Emails[0].Address != "ada@work.example" || !moved.Emails[0].Verified {
			t.Errorf("got %+v", moved.Emails)
		}
		left := must[wire.User](t, w.call(t, "admin", "DELETE", "/users/"+made.ID+"/emails/"+url.PathEscape("ada@example.com"), nil))
		if len(left.Emails) != 1 {
			t.Errorf("got %+v", left.Emails)
		}

		if got := must[wire.User](t, w.call(t, "helpdesk", "POST", "/users/"+made.ID+"/suspend", nil)); got.State != "suspended" {
			t.Errorf("got %s", got.State)
		}
		if got := must[wire.User](t, w.call(t, "helpdesk", "POST", "/users/"+made.ID+"/activate", nil)); got.State != "active" {
			t.Errorf("got %s", got.State)
		}
		if rec := w.call(t, "admin", "DELETE", "/users/"+made.ID, nil); rec.Code != http.StatusNoContent {
			t.Errorf("delete: %d %s", rec.Code, rec.Body)
		}
		gone := must[wire.User](t, w.call(t, "viewer", "GET", "/users/"+made.ID, nil))
		if gone.State != "deleted" || gone.Username != "" || len(gone.Emails) != 0 || gone.DisplayName != "" {
			t.Errorf("personal data is left: %+v", gone)
		}
		refused(t, "change after deletion", w.call(t, "admin", "PATCH", "/users/"+made.ID, wire.UserUpdate{DisplayName: &name}), 404, "user_not_found")
		refused(t, "a service as user", w.call(t, "viewer", "GET", "/users/"+w.owner.ID, nil), 404, "user_not_found")
		if page := must[wire.Page[wire.User]](t, w.call(t, "viewer", "GET", "/users", nil)); len(page.Items) != 0 {
			t.Errorf("deleted users are listed: %+v", page.Items)
		}
	})
}

func TestListsArePaged(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		for i := range 5 {
			must[wire.User](t, w.call(t, "admin", "POST", "/users", wire.UserCreate{Username: fmt.Sprintf("user%d", i)}))
		}
		var seen []string
		for after, pages := "", 0; ; pages++ {
			page := must[wire.Page[wire.User]](t, w.call(t, "viewer", "GET", "/users?limit=2&after="+url.QueryEscape(after), nil))
			if len(page.Items) > 2 || pages > 3 {
				t.Fatalf("page %d has %d items", pages, len(page.Items))
			}
			for _, u := range page.Items {
				seen = append(seen, u.Username)
			}
			if after = page.Next; after == "" {
				break
			}
		}
		slices.Sort(seen) // made in the same millisecond
		if strings.Join(seen, " ") != "user0 user1 user2 user3 user4" {
			t.Errorf("got %v", seen)
		}
		if page := must[wire.Page[wire.User]](t, w.call(t, "viewer", "GET", "/users?q=user3", nil)); len(page.Items) != 1 {
			t.Errorf("search found %d", len(page.Items))
		}
		// AD-06: cursors are plain ids; anything else is refused.
		for _, q := range []string{"after=%27%20OR%201=1", "after=usr_0", "limit=0", "limit=501", "limit=x", "limit=1&limit=2", "nonsense=1", "state=frozen", "q=%ff", "q=%00"} {
			rec := w.call(t, "viewer", "GET", "/users?"+q, nil)
			if rec.Code != 400 && rec.Code != 422 {
				t.Errorf("?%s: got %d %s", q, rec.Code, rec.Body)
			}
		}
	})
}

// PW-11: an operator sees and chooses no password; there is a link, and only
// those who may change users get one.
func TestOperatorsChooseNoPasswords(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		u := e.Person(t, realm.Default, "ada@example.com")
		for _, field := range []string{"password", "hash", "credentials", "state", "id", "version", "emails", "kind", "owner", "life", "realm"} {
			rec := w.call(t, "owner", "PATCH", "/users/"+u.ID, `{"display_name":"x","`+field+`":"turquoise walrus"}`)
			p := refused(t, "PATCH "+field, rec, 400, "invalid_json")
			if strings.Contains(p.Detail, "walrus") {
				t.Errorf("the value comes back: %s", p.Detail)
			}
		}
		if got := must[wire.User](t, w.call(t, "viewer", "GET", "/users/"+u.ID, nil)); got.DisplayName == "x" {
			t.Error("a refused request changed something")
		}
		refused(t, "helpdesk asks for a link", w.call(t, "helpdesk", "POST", "/users/"+u.ID+"/password-link", nil), 403, "not_permitted")
		link := must[wire.SecretLink](t, w.call(t, "admin", "POST", "/users/"+u.ID+"/password-link", nil))
		if !strings.HasPrefix(link.URL, apptest.Issuer+"/set-password?link=cdl_") || link.ExpiresAt.IsZero() {
			t.Errorf("got %+v", link)
		}
	})
}

// AD-03: an admin cannot become an owner by changing one.
func TestNobodyTouchesThoseWithMoreRights(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		boss := e.Person(t, realm.Default, "boss@example.com")
		must[wire.Operator](t, w.call(t, "owner", "PUT", "/operators/"+boss.ID, wire.OperatorPut{Role: "owner"}))
		name := "x"
		for what, rec := range map[string]func() (int, string){
			"rename": func() (int, string) {
				return w.code(t, "admin", "PATCH", "/users/"+boss.ID, wire.UserUpdate{DisplayName: &name})
			},
			"add address": func() (int, string) {
				return w.code(t, "admin", "POST", "/users/"+boss.ID+"/emails", wire.Email{Address: "e@example.com"})
			},
			"password link": func() (int, string) { return w.code(t, "admin", "POST", "/users/"+boss.ID+"/password-link", nil) },
			"suspend":       func() (int, string) { return w.code(t, "helpdesk", "POST", "/users/"+boss.ID+"/suspend", nil) },
			"delete":        func() (int, string) { return w.code(t, "admin", "DELETE", "/users/"+boss.ID, nil) },
			"demote": func() (int, string) {
				return w.code(t, "admin", "PUT", "/operators/"+boss.ID, wire.OperatorPut{Role: "viewer"})
			},
			"remove": func() (int, string) { return w.code(t, "admin", "DELETE", "/operators/"+boss.ID, nil) },
			"new owner": func() (int, string) {
				return w.code(t, "admin", "PUT", "/operators/"+w.owner.ID, wire.OperatorPut{Role: "owner"})
			},
			"admin client": func() (int, string) {
				return w.code(t, "admin", "POST", "/clients", wire.ClientCreate{ClientSettings: wire.ClientSettings{Name: "x", Type: "service", Scopes: []string{wire.Scope}}})
			},
		} {
			if code, problem := rec(); code != 403 || problem != "rights_exceeded" {
				t.Errorf("%s: got %d %s", what, code, problem)
			}
		}
		// The last owner stays also when asked to leave by deletion.
		must[struct{}](t, w.call(t, "owner", "DELETE", "/operators/"+boss.ID, nil))
		if code, problem := w.code(t, "owner", "DELETE", "/services/"+w.owner.ID, nil); code != 409 || problem != "last_owner" {
			t.Errorf("the last owner is deleted: %d %s", code, problem)
		}
		if code, problem := w.code(t, "owner", "DELETE", "/operators/"+w.owner.ID, nil); code != 409 || problem != "last_owner" {
			t.Errorf("the last owner is removed: %d %s", code, problem)
		}
	})
}
