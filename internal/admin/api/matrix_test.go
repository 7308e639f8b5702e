package api_test

import (
	"net/http"
	"strings"
	"testing"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/realm"
)

// least is the least role that may ask for each permission. It repeats the
// table of package operator on purpose: a right that is given away there by
// mistake fails here.
var least = map[operator.Permission]operator.Role{
	operator.Self: operator.Viewer, operator.UsersRead: operator.Viewer, operator.GroupsRead: operator.Viewer,
	operator.OrganizationsRead: operator.Viewer, operator.ServicesRead: operator.Viewer, operator.ClientsRead: operator.Viewer,
	operator.IssuersRead: operator.Viewer, operator.IssuersWrite: operator.Admin, operator.KeysRead: operator.Viewer, operator.SessionsRead: operator.Viewer, operator.DecisionsRead: operator.Viewer, operator.GrantsRead: operator.Viewer,
	operator.OperatorsRead: operator.Viewer, operator.EventsRead: operator.Viewer, operator.JobsRead: operator.Viewer, operator.IncidentsRead: operator.Viewer, operator.IncidentsClose: operator.Helpdesk,
	operator.FactsRead: operator.Viewer, operator.FactsWrite: operator.Admin, operator.FactsSources: operator.Admin,
	operator.PoliciesRead: operator.Viewer, operator.PoliciesWrite: operator.Admin,
	operator.UsersSupport: operator.Helpdesk, operator.SessionsEnd: operator.Helpdesk, operator.GrantsRevoke: operator.Helpdesk,
	operator.UsersWrite: operator.Admin, operator.UsersDelete: operator.Admin, operator.GroupsWrite: operator.Admin,
	operator.OrganizationsWrite: operator.Admin, operator.ServicesWrite: operator.Admin, operator.ClientsWrite: operator.Admin,
	operator.KeysWrite: operator.Admin, operator.OperatorsWrite: operator.Admin, operator.EventsVerify: operator.Admin, operator.JobsWrite: operator.Admin,
	operator.RealmUpdate: operator.Owner, operator.RealmsRead: operator.Owner, operator.RealmsWrite: operator.Owner,
}

// AD-01: every route, asked by everybody, has the verdict that its declaration
// says; a route that declares nothing fails. To see it fail, remove the call of
// authorize in op.
func TestEveryRouteHasAVerdictForEverybody(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		declared := map[string]bool{}
		for _, o := range e.API.Operations() {
			declared[o.Method+" "+wire.Path+o.Path] = true
			lowest, known := least[o.Permission]
			if !known {
				t.Errorf("%s: nobody decided who may %s", o.ID, o.Permission)
				continue
			}
			path := strings.NewReplacer("{id}", "none", "{name}", "none", "{member}", "none", "{address}", "none", "{credential}", "none",
				"{client}", "none", "{secret}", "none", "{principal}", "none", "{link}", "none").Replace(o.Path)
			ask := func(who string) (int, string) {
				rec := w.call(t, who, o.Method, path, body(o.Method))
				return rec.Code, rec.Header().Get("WWW-Authenticate")
			}
			for _, who := range []string{"", "neighbour", "owner without scope", "owner for another audience", "plain"} {
				code, challenge := ask(who)
				want := http.StatusUnauthorized
				if who == "plain" {
					want = http.StatusForbidden
				}
				if code != want {
					t.Errorf("%s asked by %q: got %d, want %d", o.ID, who, code, want)
				}
				if want == http.StatusUnauthorized && !strings.HasPrefix(challenge, `Bearer realm="`+apptest.Issuer+`"`) {
					t.Errorf("%s asked by %q: challenge %q", o.ID, who, challenge)
				}
			}
			for _, role := range operator.Roles() {
				code, _ := ask(string(role))
				may := role.Covers(lowest) || role == operator.Application && (o.Permission == operator.Self || o.Permission == operator.FactsRead || o.Permission == operator.FactsWrite)
				if refusedNow := code == http.StatusUnauthorized || code == http.StatusForbidden; refusedNow == may {
					t.Errorf("%s asked by %s: got %d, may is %v", o.ID, role, code, may)
				}
				if code >= 500 {
					t.Errorf("%s asked by %s: got %d", o.ID, role, code)
				}
			}
		}
		for _, r := range e.Mux.Routes() {
			if strings.HasPrefix(r.Path, wire.Path) && !declared[r.Method+" "+r.Path] {
				t.Errorf("route %s %s declares nothing", r.Method, r.Path)
			}
		}
		if len(declared) < 60 {
			t.Errorf("only %d operations were found", len(declared))
		}
	})
}

// body is something that every operation refuses as input, so that the matrix
// changes nothing it did not mean to.
func body(method string) any {
	if method == http.MethodGet || method == http.MethodDelete {
		return nil
	}
	return `{"no such field":1}`
}

// Operators of other realms manage no realms, whatever their role there.
func TestOnlyTheDefaultRealmManagesRealms(t *testing.T) {
	apptest.Run(t, func(t *testing.T, e *apptest.Env) {
		w := newWorld(t, e)
		for _, o := range e.API.Operations() {
			if strings.HasPrefix(o.Path, "/realms") != o.Realms {
				t.Errorf("%s does not say whether it reaches into other realms", o.ID)
			}
		}
		rec := w.inRealm(t, apptest.Neighbour, "neighbour", "GET", "/realms", "")
		refused(t, "the neighbour lists realms", rec, 403, "not_permitted")
		rec = w.inRealm(t, apptest.Neighbour, "neighbour", "GET", "/me", "")
		if me := must[wire.Me](t, rec); me.Realm != apptest.Neighbour || me.Role != "owner" {
			t.Errorf("got %+v", me)
		}
		rec = w.inRealm(t, apptest.Neighbour, "owner", "GET", "/me", "")
		refused(t, "a token of the default realm in the neighbour", rec, 401, "invalid_token")
		if realm.Default == apptest.Neighbour {
			t.Fatal("the test needs two realms")
		}
	})
}
