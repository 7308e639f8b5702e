package apptest

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/realm"
)

const (
	playground  = "/console/playground"
	consoleRole = "/console/roles"
)

// folderForm is a policy folder as the playground sends it.
func folderForm(schema string, more ...string) url.Values {
	form := url.Values{"base": {"0"}, "days": {"7"}, "path": {"schema.cedarschema", "roles.yaml"},
		"text": {schema, "doc:\r\n  viewer: {permissions: [read]}\r\n"}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

const smallSchema = "entity user;\r\nentity doc;\r\naction read appliesTo { principal: [user], resource: [doc] };\r\n"

// Nobody reaches the console who is no operator, nothing is done that the role does
// not permit, and no form counts that was not shown to whom it comes from.
func TestTheConsoleIsForOperators(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		w := settle(t, e)
		w.adminCall("PATCH", "/realm", w.admin, map[string]any{"settings": map[string]any{"operator_acr": "aal1"}}).expect(t, "settings", 200)
		people, ids := map[string]*visitor{}, map[string]string{}
		for name, role := range map[string]operator.Role{"nobody": "", "viewer": operator.Viewer, "helpdesk": operator.Helpdesk, "admin": operator.Admin, "robot": operator.Application} {
			p := e.Person(t, realm.Default, name+"@example.com")
			if role != "" {
				if _, err := e.Operators.Assign(context.Background(), audit.System, realm.Default, p.ID, 0, role); err != nil {
					t.Fatal(err)
				}
			}
			people[name], ids[name] = w.visitor(), p.ID
			people[name].mustSignIn(t, name+"@example.com")
		}
		versions := func() int {
			all, _, err := e.Policies.List(context.Background(), realm.Default, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		}
		grants := func() int {
			rows, _, _, err := e.Facts.List(context.Background(), realm.Default, relation.Filter{}, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(rows)
		}
		give := url.Values{"do": {"add"}, "subject_type": {"user"}, "subject_id": {"ada"}, "relation": {"viewer"}, "object_type": {"doc"}, "object_id": {"plan"}}

		// Strangers sign in first, and what they send is not read as an operator's.
		stranger := w.visitor()
		for _, path := range []string{playground, consoleRole, "/console/confirm", "/console/again"} {
			stranger.open("GET", path, nil).expect(t, "a stranger at "+path, http.StatusSeeOther, "/signin")
		}
		stranger.open("POST", playground, folderForm(smallSchema, "do", "check")).expect(t, "a stranger's draft", http.StatusUnauthorized, "/console/again", "entity doc;")
		stranger.open("POST", consoleRole, give).expect(t, "a stranger's grant", http.StatusUnauthorized, "/console/again")

		// Their own pages lead to these those who may read what stands there.
		for name, led := range map[string]bool{"nobody": false, "viewer": true, "helpdesk": people["helpdesk"].open("GET", playground, nil).Code == 200, "admin": true, "robot": false} {
			if c := people[name].open("GET", "/account", nil); c.Code != 200 || strings.Contains(c.Body.String(), `href="/console"`) != led {
				t.Errorf("%s is led to the console: want %v (%d)", name, led, c.Code)
			}
		}

		// Whoever is no operator, or a program's role, sees nothing.
		people["nobody"].open("GET", playground, nil).expect(t, "no operator", http.StatusForbidden, "not_an_operator")
		people["nobody"].open("POST", consoleRole, give).expect(t, "no operator", http.StatusForbidden)
		people["robot"].open("GET", playground, nil).expect(t, "a role without policies.read", http.StatusForbidden)

		// Those who only look can check and ask, and neither plan, apply nor give.
		for _, name := range []string{"viewer", "helpdesk"} {
			v := people[name]
			v.sends(t, playground, folderForm(smallSchema, "do", "ask", "subject_type", "user", "subject_id", "ada", "action", "read", "resource_type", "doc", "resource_id", "plan")).
				expect(t, name+" asks", 200, "Valid: 0 policies, 1 roles", "Denied")
			for _, do := range []string{"plan", "apply"} {
				v.sends(t, playground, folderForm(smallSchema, "do", do, "plan", "x")).expect(t, name+" does "+do, http.StatusForbidden, "permit this", "entity doc;")
			}
		}

		// A form without its token, with another's, or from another site does nothing, and
		// the draft is shown again.
		admin := people["admin"]
		theirs := people["viewer"].formToken(t, playground)
		for what, token := range map[string]string{"no token": "", "another operator's": theirs, "nonsense": "AAAA", "another page's": admin.formToken(t, "/account/password")} {
			admin.open("POST", playground, folderForm(smallSchema, "do", "plan", "form", token)).expect(t, what, http.StatusForbidden, "nothing was done", "entity doc;")
			if c := admin.open("POST", playground, folderForm(smallSchema, "do", "plan", "form", token)); strings.Contains(c.Body.String(), `name="plan" value=`) {
				t.Errorf("%s: it was planned", what)
			}
			admin.open("POST", consoleRole, with(give, token)).expect(t, what, http.StatusForbidden, "nothing was done")
		}
		c := e.ask("POST", consoleRole, with(give, admin.formToken(t, consoleRole)), func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			for _, cookie := range admin.jar.Cookies(r.URL) {
				r.AddCookie(cookie)
			}
		})
		c.expect(t, "another site", http.StatusForbidden)
		if versions() != 0 || grants() != 0 {
			t.Fatalf("%d versions and %d grants came of what was refused", versions(), grants())
		}

		// An admin plans and applies, and gives and takes.
		planned := admin.sends(t, playground, folderForm(smallSchema, "do", "plan"))
		hash, _ := input(planned.Body.Bytes(), "plan")
		if planned.Code != 200 || hash == "" {
			t.Fatalf("the plan: %d %q", planned.Code, hash)
		}
		admin.sends(t, playground, folderForm(smallSchema, "do", "apply")).expect(t, "without a plan", 422, "Plan first")
		admin.sends(t, playground, folderForm(smallSchema, "do", "apply", "plan", strings.Repeat("0", 64))).expect(t, "another plan", http.StatusConflict, "no longer what you saw")

		// An old sign-in looks and plans, and does not apply. The draft waits for another.
		e.Clock.Advance(20 * time.Minute)
		admin.sends(t, playground, folderForm(smallSchema, "do", "apply", "plan", hash)).expect(t, "an old sign-in", http.StatusUnauthorized, "/console/confirm", "entity doc;")
		admin.open("GET", "/console/confirm", nil).expect(t, "confirming", http.StatusSeeOther, "/signin")
		if versions() != 0 {
			t.Fatal("it was applied")
		}
		admin.mustSignIn(t, "admin@example.com")
		admin.open("GET", "/console/confirm", nil).expect(t, "confirmed", 200, "Close this tab")
		admin.sends(t, playground, folderForm(smallSchema, "do", "apply", "plan", hash, "why", "a beginning")).expect(t, "a fresh sign-in", http.StatusSeeOther, "applied=1")
		admin.open("POST", consoleRole, with(give, admin.formToken(t, consoleRole))).expect(t, "giving", http.StatusSeeOther, "done=add")
		admin.open("GET", consoleRole+"?relation=viewer&object_type=doc", nil).expect(t, "the list", 200, "user ada", "doc plan")
		if versions() != 1 || grants() != 1 {
			t.Errorf("%d versions and %d grants", versions(), grants())
		}
		var actions []string
		for _, r := range e.Events(t, realm.Default) {
			if r.Actor.Kind == "person" && r.Actor.Session != "" && (r.Action == "policy.apply" || r.Action == relation.Changed) {
				actions = append(actions, r.Action)
			}
		}
		if slices.Sort(actions); !slices.Equal(actions, []string{relation.Changed, "policy.apply"}) {
			t.Errorf("the log says %v", actions)
		}

		// Whoever loses the role, loses it on the pages that are open, too.
		token := admin.formToken(t, consoleRole)
		if _, err := e.Operators.Assign(context.Background(), audit.System, realm.Default, ids["admin"], 0, operator.Helpdesk); err != nil {
			t.Fatal(err)
		}
		taken := with(give, token)
		taken.Set("do", "remove")
		admin.open("POST", consoleRole, taken).expect(t, "taking with a lesser role", http.StatusForbidden, "permit this")
		if grants() != 1 {
			t.Error("it was taken")
		}

		// What is written on a page stays text.
		marker := `</textarea><script>window.pwned=1</script>`
		if c := admin.sends(t, playground, folderForm(marker, "do", "ask", "subject_type", marker, "subject_id", "a", "action", marker, "resource_type", "doc", "resource_id", marker)); c.Code != 200 || strings.Contains(c.Body.String(), "<script>window") {
			t.Errorf("markup: %d", c.Code)
		}
		if csp := admin.open("GET", playground, nil).Header().Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self';") || !strings.Contains(csp, "connect-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("the policy of the page is %q", csp)
		}
	})
}

// with is a form with the token of a page.
func with(form url.Values, token string) url.Values {
	form = clone(form)
	form.Set("form", token)
	return form
}
