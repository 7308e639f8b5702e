package api_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/app/apptest"
)

// policyFolder is a folder of examples/policies, with replacements in its texts.
func policyFolder(t *testing.T, name string, replace ...string) (files []wire.PolicyFile) {
	t.Helper()
	found, problems := folder.Open(os.DirFS("../../../examples/policies/" + name))
	if len(problems) > 0 || len(found) == 0 {
		t.Fatal(len(found), problems)
	}
	for _, f := range found {
		files = append(files, wire.PolicyFile{Path: f.Path, Text: strings.NewReplacer(replace...).Replace(string(f.Text))})
	}
	return files
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A folder is planned, applied, shown, compared and taken back; what does not hold
// changes nothing and is explained.
func TestPolicyFoldersHaveALife(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		refused(t, "a realm without a policy", w.call(t, "viewer", "GET", "/access/policy/versions/current", nil), 404, "policy_none")
		documents := policyFolder(t, "documents")
		plan := must[wire.PolicyPlan](t, w.call(t, "admin", "POST", "/access/policy/plan", asJSON(t, wire.PolicyPlanRequest{Files: documents})))
		if !plan.OK || plan.Base != 0 || len(plan.Differences) == 0 || plan.Hash == "" {
			t.Fatalf("%+v", plan)
		}
		refused(t, "another plan", w.call(t, "admin", "POST", "/access/policy/versions", asJSON(t, wire.PolicyApply{Files: documents, Plan: strings.Repeat("0", 64)})), 409, "plan_changed")
		rec := w.call(t, "admin", "POST", "/access/policy/versions", asJSON(t, wire.PolicyApply{Files: documents, Plan: plan.Hash, Message: "begin"}))
		first := must[wire.PolicyVersion](t, rec)
		if rec.Code != 201 || first.Number != 1 || first.Hash != plan.Policy || first.Plan != plan.Hash || first.Message != "begin" {
			t.Fatalf("%d %+v", rec.Code, first)
		}
		bad := must[wire.PolicyPlan](t, w.call(t, "admin", "POST", "/access/policy/plan", asJSON(t, wire.PolicyPlanRequest{Files: policyFolder(t, "documents", `"secret"`, "secret")})))
		if bad.OK || len(bad.Problems) == 0 || bad.Problems[0].File != "policies/classified.cedar" || bad.Problems[0].Line == 0 {
			t.Errorf("%+v", bad)
		}
		refused(t, "problems", w.call(t, "admin", "POST", "/access/policy/versions", asJSON(t, wire.PolicyApply{Files: policyFolder(t, "documents", `"secret"`, "secret")})), 400, "policy_invalid")
		must[wire.PolicyVersion](t, w.call(t, "admin", "POST", "/access/policy/versions", asJSON(t, wire.PolicyApply{Files: policyFolder(t, "payments")})))
		d := must[wire.Page[wire.PolicyDifference]](t, w.call(t, "viewer", "GET", "/access/policy/diff?from=1&to=current", nil))
		if !strings.Contains(asJSON(t, d), "policy four-eyes is new and forbids") {
			t.Errorf("%+v", d)
		}
		back := must[wire.PolicyVersion](t, w.call(t, "admin", "POST", "/access/policy/versions/1/rollback", `{"message":"too early"}`))
		if back.Number != 3 || back.Hash != first.Hash {
			t.Errorf("%+v", back)
		}
		shown := must[wire.PolicyVersion](t, w.call(t, "viewer", "GET", "/access/policy/versions/current", nil))
		if shown.Number != 3 || asJSON(t, shown.Contents) != asJSON(t, documents) {
			t.Errorf("%+v", shown)
		}
		all := must[wire.Page[wire.PolicyVersion]](t, w.call(t, "viewer", "GET", "/access/policy/versions?limit=2", nil))
		if len(all.Items) != 2 || all.Next != "2" {
			t.Errorf("%+v", all)
		}
		refused(t, "following is not set", w.call(t, "viewer", "GET", "/access/policy/source", nil), 404, "policy_not_followed")
		refused(t, "directories are not allowed", w.call(t, "admin", "PUT", "/access/policy/source", `{"kind":"directory","location":"/etc"}`), 400, "kind_invalid")
		src := must[wire.PolicySource](t, w.call(t, "admin", "PUT", "/access/policy/source", `{"kind":"git","location":"https://git.example.com/p","username":"bot","password":"hush"}`))
		if src.State != "waiting" || !src.HasPassword || strings.Contains(asJSON(t, src), "hush") {
			t.Errorf("%+v", src)
		}
		if rec := w.call(t, "admin", "DELETE", "/access/policy/source", nil); rec.Code != 204 {
			t.Error(rec.Code)
		}
	})
}
