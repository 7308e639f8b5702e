package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/guard"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// officeRules are what a realm adds about its own administration.
const officeRules = `@id("helpdesk-in-the-office")
@reason("the helpdesk suspends people from the office only")
forbid (principal, action == Cardea::Action::"suspend-user", resource)
when { context.role == "helpdesk" }
unless { context has ip && context.ip.isInRange(ip("198.51.100.0/24")) };

@id("not-oneself")
@reason("nobody suspends themselves")
forbid (principal, action in Cardea::Action::"users.support", resource)
when { principal == resource };

@id("executives")
@reason("the board is administered by owners")
forbid (principal, action in Cardea::Action::"changes", resource in group::"GROUP")
unless { context.role == "owner" };

@id("activate-strongly")
@reason("people are activated after a second factor")
@step_up("aal2")
forbid (principal is user, action == Cardea::Action::"activate-user", resource)
unless { context has acr && ["aal2", "aal3"].contains(context.acr) };

@id("nobody-reads-the-boss")
@reason("this record is closed")
forbid (principal, action in Cardea::Action::"users.read", resource == user::"BOSS");
`

// withOwn is the documents folder with policies about Cardea.
func withOwn(t *testing.T, text string) []wire.PolicyFile {
	t.Helper()
	return append(policyFolder(t, "documents"), wire.PolicyFile{Path: "cardea/office.cedar", Text: text})
}

func (w *world) apply(t *testing.T, files []wire.PolicyFile) {
	t.Helper()
	must[wire.PolicyVersion](t, w.call(t, "owner", "POST", "/access/policy/versions", asJSON(t, wire.PolicyApply{Files: files})))
}

// from sends a request from an address.
func (w *world) from(t *testing.T, address, who, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, apptest.Issuer+wire.Path+path, nil)
	r.Header.Set("Authorization", "Bearer "+w.tokens[who])
	r.RemoteAddr = address + ":1234"
	rec := httptest.NewRecorder()
	w.Handler.ServeHTTP(rec, r)
	return rec
}

// AD-09: Cardea's own administration asks its own policies: the table of roles is
// the floor, and what a realm adds forbids beyond it, with its reason.
func TestTheAdminAPIAsksThePoliciesOfItsRealm(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		ctx := t.Context()
		bob, boss, hal := w.Person(t, realm.Default, "bob@example.com"), w.Person(t, realm.Default, "boss@example.com"), w.Person(t, realm.Default, "hal@example.com")
		if _, err := w.Operators.Assign(ctx, audit.System, realm.Default, hal.ID, 0, operator.Helpdesk); err != nil {
			t.Fatal(err)
		}
		w.signedIn(t, "hal", hal.ID, "aal1", time.Minute)
		w.signedIn(t, "hal strongly", hal.ID, "aal2", time.Minute)
		board, err := w.People.Create(ctx, audit.System, realm.Default, principal.New{Kind: principal.Group, Name: "board", DisplayName: "Board"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.People.AddMember(ctx, audit.System, realm.Default, board.ID, boss.ID, ""); err != nil {
			t.Fatal(err)
		}
		suspend := func(id string) string { return "/users/" + id + "/suspend" }

		// Before, the table alone says what may be. What it refuses is explained too.
		if rec := w.from(t, "203.0.113.9", "helpdesk", "POST", suspend(bob.ID)); rec.Code != 200 {
			t.Fatalf("without policies: %d %s", rec.Code, rec.Body)
		}
		p := refused(t, "the table", w.call(t, "helpdesk", "DELETE", "/users/"+bob.ID, nil), 403, "not_permitted")
		if x := w.why(t, p.Detail); x.Decision.Kind != "administration" || x.Decision.Question.Action != "delete-user" || !strings.Contains(asJSON(t, x), "users.delete") {
			t.Errorf("%+v", x)
		}

		w.Clock.Advance(time.Second)
		own := strings.NewReplacer("GROUP", board.ID, "BOSS", boss.ID).Replace(officeRules)
		plan := must[wire.PolicyPlan](t, w.call(t, "admin", "POST", "/access/policy/plan", asJSON(t, wire.PolicyPlanRequest{Files: withOwn(t, own)})))
		if !plan.OK || plan.Own == nil || plan.Own.LossCount != 1 || plan.Own.Losses[0].Action != "suspend-user" || !strings.Contains(asJSON(t, plan.Own.Losses), "the helpdesk suspends people from the office only") || len(plan.Own.LockedOut) != 0 {
			t.Errorf("the plan does not name who loses: %s", asJSON(t, plan.Own))
		}
		if w.apply(t, withOwn(t, own)); t.Failed() {
			return
		}
		built := must[wire.BuiltInPolicy](t, w.call(t, "viewer", "GET", "/access/policy/built-in", nil))
		if built.Version != 1 || len(built.Added) != 1 || len(built.Contents) != 2 || built.Glass != nil || !strings.Contains(built.Contents[1].Text, `Cardea::role:helpdesk`) {
			t.Errorf("%+v", built)
		}

		// What a policy forbids says which and why, and the decision can be looked up.
		p = refused(t, "from elsewhere", w.from(t, "203.0.113.9", "helpdesk", "POST", suspend(bob.ID)), 403, "forbidden_by_policy")
		if !strings.Contains(p.Detail, `"helpdesk-in-the-office"`) || !strings.Contains(p.Detail, "from the office only") {
			t.Error(p.Detail)
		}
		x := w.why(t, p.Detail)
		if x.Decision.Answer.Allowed || x.Decision.Answer.PolicyHash != built.Hash || x.Decision.Question.Resource.ID != bob.ID || x.Decision.Question.Context["ip"] != "203.0.113.9" || x.Grant == nil {
			t.Errorf("%s", asJSON(t, x))
		}
		for what, c := range map[string]struct {
			rec  *httptest.ResponseRecorder
			want int
		}{
			"from the office":            {w.from(t, "198.51.100.7", "helpdesk", "POST", suspend(bob.ID)), 200},
			"an admin, from anywhere":    {w.from(t, "203.0.113.9", "admin", "POST", suspend(bob.ID)), 200},
			"oneself":                    {w.from(t, "198.51.100.7", "hal", "POST", suspend(hal.ID)), 403},
			"one of the board, by admin": {w.call(t, "admin", "PATCH", "/users/"+boss.ID, `{"display_name":"B"}`), 403},
			"one of the board, by owner": {w.call(t, "owner", "PATCH", "/users/"+boss.ID, `{"display_name":"B"}`), 200},
			"the group itself, by admin": {w.call(t, "admin", "PATCH", "/groups/"+board.ID, `{"display_name":"B"}`), 403},
			"the boss, by id":            {w.call(t, "owner", "GET", "/users/"+boss.ID, nil), 403},
			"the boss, by name":          {w.call(t, "owner", "GET", "/users/boss@example.com", nil), 403},
			"the boss, shouted":          {w.call(t, "owner", "GET", "/users/BOSS@Example.com", nil), 403},
			"somebody else, by name":     {w.call(t, "owner", "GET", "/users/bob@example.com", nil), 200},
			"the floor stays":            {w.from(t, "198.51.100.7", "viewer", "POST", suspend(bob.ID)), 403},
			"a program activates":        {w.call(t, "helpdesk", "POST", "/users/"+bob.ID+"/activate", nil), 200},
		} {
			if c.rec.Code != c.want {
				t.Errorf("%s: %d, want %d: %s", what, c.rec.Code, c.want, c.rec.Body)
			}
		}

		// Not yet: the answer names the sign-in that would do.
		rec := w.call(t, "hal", "POST", "/users/"+bob.ID+"/activate", nil)
		p = refused(t, "too weak", rec, 401, "insufficient_user_authentication")
		if h := rec.Header().Get("WWW-Authenticate"); !strings.Contains(h, `error="insufficient_user_authentication"`) || !strings.Contains(h, `acr_values="aal2"`) || !strings.Contains(p.Detail, "activate-strongly") {
			t.Errorf("%s %s", h, p.Detail)
		}
		if rec := w.call(t, "hal strongly", "POST", "/users/"+bob.ID+"/activate", nil); rec.Code != 200 {
			t.Errorf("strong enough: %d %s", rec.Code, rec.Body)
		}
		// What other realms do is not this realm's business.
		if rec := w.inRealm(t, apptest.Neighbour, "neighbour", "GET", "/users", ""); rec.Code != 200 {
			t.Errorf("the neighbour: %d", rec.Code)
		}
		if built := must[wire.BuiltInPolicy](t, w.inRealm(t, apptest.Neighbour, "neighbour", "GET", "/access/policy/built-in", "")); built.Version != 0 || len(built.Added) != 0 {
			t.Errorf("the neighbour has %+v", built)
		}
	})
}

// why looks up the decision that a refusal names.
func (w *world) why(t *testing.T, detail string) wire.DecisionExplained {
	t.Helper()
	_, id, found := strings.Cut(detail, "(cardea why ")
	if !found {
		t.Fatalf("no decision is named in %q", detail)
	}
	return must[wire.DecisionExplained](t, w.call(t, "viewer", "GET", "/access/decisions/"+strings.TrimSuffix(id, ")"), nil))
}

// What would lock everybody out, or widen the table, or take Cardea's names, is
// not applied; what locks somebody out is foretold.
func TestPoliciesAboutAdministrationAreJudgedBeforehand(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		bob := w.Person(t, realm.Default, "bob@example.com")
		board, err := w.People.Create(t.Context(), audit.System, realm.Default, principal.New{Kind: principal.Group, Name: "board", DisplayName: "Board"})
		if err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct{ text, want string }{
			"everybody":  {`@id("all") forbid (principal, action, resource);`, "lock everybody out"},
			"two halves": {`@id("a") forbid (principal, action, resource) when { context has acr }; @id("b") forbid (principal, action, resource) unless { context has acr };`, "lock everybody out"},
			"a permit":   {`@id("more") permit (principal, action == Cardea::Action::"delete-user", resource) when { context.role == "viewer" };`, "can only forbid"},
			"an id":      {`@id("Cardea::mine") forbid (principal, action == Cardea::Action::"delete-user", resource);`, "belong to the built-in"},
			"no action":  {`@id("typo") forbid (principal, action == Cardea::Action::"suspend-usr", resource);`, "suspend-usr"},
			"an error":   {`@id("wrong") forbid (principal, action == Cardea::Action::"delete-user", resource) when { context.role > 3 };`, "wrong"},
		} {
			p := refused(t, what, w.call(t, "owner", "POST", "/access/policy/versions", asJSON(t, wire.PolicyApply{Files: withOwn(t, c.text)})), 400, "policy_invalid")
			if !strings.Contains(p.Detail, c.want) || !strings.Contains(p.Detail, "cardea/office.cedar") {
				t.Errorf("%s: %s", what, p.Detail)
			}
		}
		for what, text := range map[string]string{
			"entities": "namespace Cardea { entity Realm; }\n",
			"actions":  "namespace Cardea::Sub { action peek appliesTo { principal: [user], resource: [user] }; }\n",
		} {
			files := policyFolder(t, "documents")
			for i := range files {
				if files[i].Path == "schema.cedarschema" {
					files[i].Text += "\n" + text
				}
			}
			if p := refused(t, what, w.call(t, "owner", "POST", "/access/policy/versions", asJSON(t, wire.PolicyApply{Files: files})), 400, "policy_invalid"); !strings.Contains(p.Detail, "Cardea's own") {
				t.Errorf("%s: %s", what, p.Detail)
			}
		}
		// Facts cannot speak of Cardea's own either, nor move people between groups.
		for what, body := range map[string]string{
			"a role on a realm": `{"add":[{"subject":{"type":"user","id":"u"},"relation":"owner","object":{"type":"Cardea::Realm","id":"default"}}]}`,
			"as a subject":      `{"add":[{"subject":{"type":"Cardea::Client","id":"u"},"relation":"member","object":{"type":"team","id":"t"}}]}`,
			"an attribute":      `{"set":[{"entity":{"type":"Cardea::Client","id":"x"},"name":"role","value":"owner"}]}`,
			"its end":           `{"drop":[{"type":"Cardea","id":"x"}]}`,
			"a parent":          `{"add":[{"subject":{"type":"user","id":"` + bob.ID + `"},"relation":"parent","object":{"type":"group","id":"` + board.ID + `"}}]}`,
		} {
			refused(t, what, w.call(t, "application", "POST", "/access/changes", body), 400, "fact_invalid")
		}
		// Admins lose, which is foretold by name although nobody has asked for it lately.
		owners := `@id("owners-change") @reason("owners change policies") forbid (principal, action in Cardea::Action::"policies.write", resource) unless { context.role == "owner" };`
		plan := must[wire.PolicyPlan](t, w.call(t, "owner", "POST", "/access/policy/plan", asJSON(t, wire.PolicyPlanRequest{Files: withOwn(t, owners)})))
		if plan.Own == nil || len(plan.Own.LockedOut) != 1 || plan.Own.LockedOut[0].Role != "admin" {
			t.Fatalf("%s", asJSON(t, plan.Own))
		}
		w.apply(t, withOwn(t, owners))
		refused(t, "an admin applies", w.call(t, "admin", "POST", "/access/policy/versions", asJSON(t, wire.PolicyApply{Files: policyFolder(t, "documents")})), 403, "forbidden_by_policy")
		// The folder's own tests ask about operations, too.
		files := append(withOwn(t, owners), wire.PolicyFile{Path: "tests/own.yaml", Text: `tests:
  - name: owners change policies
    questions:
      - {subject: [user, ada], action: "Cardea::apply-policy", resource: ["Cardea::Realm", default], context: {role: admin, realm: default}, expect: deny, policies: [owners-change]}
      - {subject: [user, ada], action: "Cardea::apply-policy", resource: ["Cardea::Realm", default], context: {role: owner, realm: default}, expect: allow}
`})
		if plan := must[wire.PolicyPlan](t, w.call(t, "owner", "POST", "/access/policy/plan", asJSON(t, wire.PolicyPlanRequest{Files: files}))); !plan.OK || len(plan.Failures) > 0 {
			t.Errorf("%s %s", asJSON(t, plan.Problems), asJSON(t, plan.Failures))
		}
	})
}

// Whoever has the database breaks the glass: the built-in policies count alone, for
// a while, and the log says so loudly.
func TestBrokenGlassLetsTheTableCountAlone(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		ctx := context.Background()
		closed := `@id("closed") @reason("nothing is administered but policies, and those by cardea-cli")
			forbid (principal, action, resource) unless { context has client && context.client == "cardea-cli" };`
		w.apply(t, withOwn(t, closed))
		ask := func(who string) int { return w.call(t, who, "GET", "/users", nil).Code }
		if got := ask("owner"); got != http.StatusForbidden {
			t.Fatalf("the policy does not hold: %d", got)
		}
		for _, wrong := range []func() error{
			func() error { _, err := w.Guard.Break(ctx, realm.Default, 25*time.Hour, "why"); return err },
			func() error { _, err := w.Guard.Break(ctx, realm.Default, 0, "why"); return err },
			func() error { _, err := w.Guard.Break(ctx, realm.Default, time.Hour, " "); return err },
		} {
			if wrong() == nil {
				t.Error("the glass breaks without a time or a reason")
			}
		}
		if _, err := w.Guard.Break(ctx, realm.Default, time.Hour, "locked out"); err != nil {
			t.Fatal(err)
		}
		if owner, plain := ask("owner"), w.call(t, "viewer", "DELETE", "/users/none", nil).Code; owner != 200 || plain != 403 {
			t.Errorf("with broken glass: owner %d, a viewer who deletes %d", owner, plain)
		}
		if b := must[wire.BuiltInPolicy](t, w.call(t, "owner", "GET", "/access/policy/built-in", nil)); b.Glass == nil || b.Glass.Reason != "locked out" || b.Version != 1 {
			t.Errorf("%+v", b)
		}
		w.Clock.Advance(time.Hour + time.Second)
		late := w.program(t, realm.Default, "late")
		if _, err := w.Operators.Assign(ctx, audit.System, realm.Default, late, 0, operator.Owner); err != nil {
			t.Fatal(err)
		}
		if got := ask("late"); got != http.StatusForbidden {
			t.Errorf("after its time: %d", got)
		}
		if _, err := w.Guard.Break(ctx, realm.Default, time.Hour, "again"); err != nil {
			t.Fatal(err)
		}
		if got := ask("late"); got != 200 {
			t.Errorf("broken again: %d", got)
		}
		// Every decision of that time says that the glass was broken.
		if err := w.Journal.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		list := must[wire.Page[wire.Decision]](t, w.call(t, "late", "GET", "/access/decisions?kind=administration&allowed=true&action=list-users&subject_id="+late, nil))
		if len(list.Items) != 1 || !strings.Contains(asJSON(t, list.Items), "the glass is broken until") {
			t.Errorf("%s", asJSON(t, list.Items))
		}
		if err := w.Guard.Mend(ctx, realm.Default); err != nil {
			t.Fatal(err)
		}
		if got := ask("late"); got != http.StatusForbidden {
			t.Errorf("mended: %d", got)
		}
		said := map[string]int{}
		for _, r := range w.Events(t, realm.Default) {
			if r.Action == guard.Broken || r.Action == guard.Mended {
				said[fmt.Sprint(r.Action, " ", r.Data["reason"])]++
			}
		}
		if len(said) != 3 || said["glass.break locked out"] != 1 || said["glass.break again"] != 1 || said["glass.mend again"] != 1 {
			t.Errorf("%v", said)
		}
	})
}
