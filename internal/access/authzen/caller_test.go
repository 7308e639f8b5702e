package authzen_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/authzen"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

func bearing(value string) func(r *http.Request) {
	return func(r *http.Request) {
		if r.Header.Del("Authorization"); value != "" {
			r.Header.Set("Authorization", value)
		}
	}
}

func basic(id, secret string) func(r *http.Request) {
	return bearing("Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
}

func TestWhoeverAsksProvesWhoTheyAre(t *testing.T) {
	run(t, func(d *desk) {
		question := object(alice, read, active)
		d.service("plain", client.Settings{Scopes: []string{"orders:read"}})
		d.Client(t, d.realm, "stranger", client.Settings{Name: "Stranger", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"orders:read"}, Resources: []string{api}})
		for name, c := range map[string]struct {
			change func(r *http.Request)
			status int
			want   []string
		}{
			"nothing":           {bearing(""), 401, []string{`Bearer realm="` + d.issuer(), `resource_metadata="` + d.issuer() + `/.well-known/oauth-protected-resource/access/v1"`, "DPoP algs=", "Basic realm="}},
			"garbage":           {bearing("Bearer x.y.z"), 401, []string{`error="invalid_token"`}},
			"another scheme":    {bearing("Negotiate abc"), 401, []string{"Bearer realm="}},
			"a wrong secret":    {basic("pep", "wrong"), 401, []string{"Basic realm="}},
			"an unknown client": {basic("nobody", "wrong"), 401, []string{"Basic realm="}},
			"an unbound proof":  {bearing("DPoP " + d.token), 401, []string{"DPoP realm=", `error="invalid_dpop_proof"`}},
			"a secret":          {basic("pep", d.secrets["pep"]), 200, nil},
			"a token":           {bearing("Bearer " + d.token), 200, nil},
			"a token lower":     {bearing("bearer " + d.token), 200, nil},
			"another audience":  {bearing("Bearer " + d.audience("plain", api+"/plain")), 401, []string{`error="invalid_token"`}},
		} {
			a := d.post("/evaluation", question, c.change).expect(name, c.status)
			challenge := strings.Join(a.Header().Values("WWW-Authenticate"), "\n")
			if (challenge == "") != (c.status == 200) {
				t.Errorf("%s: challenge %q", name, challenge)
			}
			for _, text := range c.want {
				if !strings.Contains(challenge, text) {
					t.Errorf("%s: %q is missing in %q", name, text, challenge)
				}
			}
		}
		if a := d.post("/evaluation?access_token="+d.token, question, bearing("")); a.Code != 400 {
			t.Errorf("a token in the address: %d", a.Code)
		}
	})
}

// audience gets a service a token for another audience, with the scope.
func (d *desk) audience(id, audience string) string {
	d.Helper()
	return d.request(id, audience, "orders:read")
}

// PD-07: the realm comes from the credential and the address, never the body.
func TestARealmAnswersItsOwnCallersOnly(t *testing.T) {
	run(t, func(d *desk) {
		theirs := d.token
		d.realm = apptest.Neighbour
		d.post("/evaluation", object(alice, read, active), bearing("Bearer "+theirs)).expect("a token of another realm", 401)
		d.post("/evaluation", object(alice, read, active, `"realm":"default"`), bearing("Bearer "+theirs)).expect("which says so", 401)
		d.post("/evaluation", object(alice, read, active), basic("pep", d.secrets["pep"])).expect("a client of another realm", 401)
		d.service("ours", client.Settings{})
		asked := ""
		before := d.Env.Snapshot
		d.Env.Snapshot = func(ctx context.Context, name string, min audit.Position) (*policy.Snapshot, audit.Position, error) {
			asked = name
			return before(ctx, name, min)
		}
		d.post("/evaluation", object(alice, read, active, `"realm":"default","store_id":"default"`), bearing("Bearer "+d.own("ours"))).expect("ours", 200)
		if asked != apptest.Neighbour {
			t.Errorf("judged in realm %q", asked)
		}
	})
}

func TestPagesBelongToWhoAskedWhat(t *testing.T) {
	run(t, func(d *desk) {
		for i := range 7 {
			d.graph = grown(t, d.graph, graph.Change{Add: []graph.Tuple{{Subject: user("alice"), Relation: "reader", Object: record(fmt.Sprintf("page-%d,:#@\x00", i))}}})
		}
		ask := func(page string, change ...func(r *http.Request)) answer {
			return d.post("/search/resource", object(alice, read, some, `"page":`+page), change...)
		}
		var all []string
		got, next := ask(`{"limit":3}`).found()
		first := next
		for pages := 0; ; pages++ {
			all = append(all, got...)
			if next == "" || pages > 9 {
				break
			}
			got, next = ask(`{"token":"` + next + `"}`).found()
		}
		if len(all) != 8 || all[7] != "record-1" || len(got) != 2 {
			t.Fatalf("found %q", all)
		}
		again, _ := ask(`{"limit":3,"token":"` + first + `"}`).found()
		once, _ := ask(`{"limit":3,"token":"` + first + `"}`).found()
		if fmt.Sprint(again) != fmt.Sprint(once) || len(again) != 3 {
			t.Errorf("a token is not stable: %q %q", again, once)
		}
		token := `"page":{"token":"` + first + `"}`
		d.service("other", client.Settings{})
		for name, a := range map[string]answer{
			"another limit":     ask(`{"limit":2,"token":"` + first + `"}`),
			"another subject":   d.post("/search/resource", object(bob, read, some, token)),
			"another action":    d.post("/search/resource", object(alice, write, some, token)),
			"another context":   d.post("/search/resource", object(alice, read, some, `"context":{"a":1}`, token)),
			"other properties":  d.post("/search/resource", object(alice, read, `"resource":{"type":"record","properties":{"status":"archived"}}`, token)),
			"another search":    d.post("/search/subject", object(someone, read, active, token)),
			"another caller":    ask(`{"token":"`+first+`"}`, bearing("Bearer "+d.own("other"))),
			"the same, Basic":   ask(`{"token":"`+first+`"}`, basic("other", d.secrets["other"])),
			"changed":           ask(`{"token":"` + first[:len(first)-2] + `xx"}`),
			"invented":          ask(`{"token":"cursor"}`),
			"endless":           ask(`{"token":"` + strings.Repeat("A", 9000) + `"}`),
			"of another realm":  d.elsewhere(object(alice, read, some, token)),
			"not a base64 text": ask(`{"token":"%%%"}`),
		} {
			a.expect(name, http.StatusBadRequest, "page")
		}
	})
}

// elsewhere asks the same in the neighbouring realm.
func (d *desk) elsewhere(body string) answer {
	d.Helper()
	other := *d
	other.realm, other.secrets = apptest.Neighbour, map[string]string{}
	other.service("pep", client.Settings{})
	other.token = other.own("pep")
	return other.post("/search/resource", body)
}

// PD-05 at the door: an answer is never older than the caller wants.
func TestNoAnswerIsOlderThanWanted(t *testing.T) {
	run(t, func(d *desk) {
		at := func(revision string) answer {
			return d.post("/evaluation", object(alice, read, active), func(r *http.Request) { r.Header.Set("Min-Revision", revision) })
		}
		if a := at("1.7"); !a.decision() || a.Header().Get("Cardea-Revision") != "1.7" {
			t.Errorf("reached: %s %v", a.Body, a.Header())
		}
		a := at("1.1000000")
		if a.decision() || a.Header().Get("Cardea-Revision") != "" {
			t.Errorf("not reached: %s", a.Body)
		}
		a.expect("the reason", 200, "revision")
		if got := d.post("/evaluations", object(alice, read, `"evaluations":[`+object(active)+`]`), func(r *http.Request) { r.Header.Set("Min-Revision", "1.1000000") }).decisions(); got[0] {
			t.Error("a batch is permitted on an older state")
		}
	})
}

// How old the facts are is noted before they are read: what comes between does not
// make them younger.
func TestNewsDoNotMakeTheStateYounger(t *testing.T) {
	set, whole := compile(t, fixture), certification(t)
	news := false
	o := authzen.Options{Now: func() time.Time { return time.UnixMilli(1_800_000_000_000) }, Note: func(*realm.Realm, *journal.Entry) {},
		Authenticate: func(http.ResponseWriter, *http.Request, *realm.Realm) (authzen.Caller, error) {
			return authzen.Caller{Client: "pep"}, nil
		},
		Fresh: func() func(string, bool) (string, bool) {
			refused := "the facts are old"
			if news {
				refused = ""
			}
			return func(string, bool) (string, bool) { return refused, false }
		},
		Snapshot: func(context.Context, string, audit.Position, *policy.Question) (*policy.Snapshot, audit.Position, error) {
			news = true
			return policy.NewSnapshot(set, whole, 7), audit.Position{Epoch: 1, Seq: 7}, nil
		}}
	m := web.NewMux(web.MuxOptions{})
	authzen.New(o).Mount(m)
	ask := func() answer {
		r := httptest.NewRequest("POST", "/access/v1/evaluation", strings.NewReader(object(alice, read, active)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r.WithContext(realm.With(r.Context(), &realm.Realm{Name: "r", Issuer: "https://r.example", Settings: realm.DefaultSettings()})))
		return answer{w, t}
	}
	if a := ask(); a.decision() || !strings.Contains(a.Body.String(), "the facts are old") {
		t.Errorf("old facts: %s", a.Body)
	}
	if a := ask(); !a.decision() {
		t.Errorf("new facts: %s", a.Body)
	}
}

// A realm with more facts than are held at once answers questions one by one, also
// in a batch, and each search by itself.
func TestLargeRealmsAnswerQuestionsOneByOne(t *testing.T) {
	set, whole := compile(t, fixture), certification(t)
	opened := 0
	o := authzen.Options{Now: func() time.Time { return time.UnixMilli(1_800_000_000_000) }, Note: func(*realm.Realm, *journal.Entry) {},
		Authenticate: func(http.ResponseWriter, *http.Request, *realm.Realm) (authzen.Caller, error) {
			return authzen.Caller{Client: "pep"}, nil
		},
		Snapshot: func(_ context.Context, _ string, _ audit.Position, q *policy.Question) (*policy.Snapshot, audit.Position, error) {
			if q == nil {
				return nil, audit.Position{}, fault.New(fault.Unavailable, authzen.CodeTooMany, "too many facts")
			}
			opened++
			return policy.NewSnapshot(set, whole, 7), audit.Position{Epoch: 1, Seq: 7}, nil
		},
		Search: func(_ context.Context, _, kind string, q *policy.Question, p policy.Page) (policy.Found, []string, *policy.Snapshot, audit.Position, error) {
			if kind != journal.SearchResource {
				return policy.Found{}, nil, nil, audit.Position{}, fault.New(fault.Unavailable, "busy", "too busy")
			}
			s := policy.NewSnapshot(set, whole, 7)
			f, err := policy.Resources(s, q, p)
			return f, nil, s, audit.Position{Epoch: 1, Seq: 7}, err
		}}
	post := asking(t, o)
	if !post("/evaluation", object(alice, read, active)).decision() {
		t.Error("a single question")
	}
	if got := post("/evaluations", object(alice, read, `"evaluations":[`+object(active)+`,{},`+object(write, active)+`]`)).decisions(); fmt.Sprint(got) != "[true false true]" || opened != 3 {
		t.Errorf("a batch: %v, %d states", got, opened)
	}
	post("/search/resource", object(alice, read, some)).expect("a search", http.StatusOK, "record-1", `"revision":"1.7"`)
	post("/search/subject", object(`"subject":{"type":"user"}`, read, active)).expect("a search that fails", http.StatusServiceUnavailable)
	post("/residual", ask("alice", "write", `{"dialect":"sqlite","id":"id"}`)).expect("a filter", http.StatusServiceUnavailable, "facts_too_many", "too many facts")
}

// asking is a door by itself, as whoever asks in a realm called big sees it.
func asking(t *testing.T, o authzen.Options) func(path, body string) answer {
	box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
	if err != nil {
		t.Fatal(err)
	}
	o.Pages = box
	m := web.NewMux(web.MuxOptions{})
	authzen.New(o).Mount(m)
	return func(path, body string) answer {
		r := httptest.NewRequest("POST", "/access/v1"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r.WithContext(realm.With(r.Context(), &realm.Realm{Name: "big", Issuer: "https://big.example", Settings: realm.DefaultSettings()})))
		return answer{w, t}
	}
}

const stepUpSchema = `
entity user;
entity record;
action pay appliesTo { principal: user, resource: record, context: { acr?: String, scopes?: Set<String>, client?: String } };
`

const stepUpPolicy = `
@id("pay") @reason("payments take a second factor") @step_up("aal2")
permit (principal, action == Action::"pay", resource) when { context has acr && context.acr == "aal2" };
`

// A person's own access token says how they signed in; nobody else's word counts
// beside it.
func TestTokensVouchForPeople(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	d := open(t, e)
	set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "schema.cedarschema", Text: []byte(stepUpSchema)},
		Policies: []policy.File{{Name: "policies/pay.cedar", Text: []byte(stepUpPolicy)}}})
	if err != nil {
		t.Fatal(err)
	}
	d.set = set
	d.Client(t, d.realm, "web", client.Settings{Name: "Web", Type: client.Web, FirstParty: true, RedirectURIs: []string{"https://app.example.com/cb"},
		GrantTypes: []string{client.AuthorizationCode}, Scopes: []string{"orders:read", authzen.Scope}, Resources: []string{api + "/pep", api + "/else"}})
	ada, bea := e.Person(t, d.realm, "ada@example.com"), e.Person(t, d.realm, "bea@example.com")
	weak, strong := d.signedIn(ada, "aal1", api+"/pep"), d.signedIn(ada, "aal2", api+"/pep")
	foreign := d.signedIn(ada, "aal2", api+"/else")
	pay := func(id, context string) answer {
		return d.post("/evaluation", object(`"subject":{"type":"user","id":"`+id+`"}`, `"action":{"name":"pay"}`, active, `"context":`+context))
	}
	if a := pay(ada.ID, `{"access_token":"`+weak+`"}`); a.decision() || !strings.Contains(a.Body.String(), `"step_up":{"acr_values":"aal2"`) {
		t.Errorf("not yet: %s", a.Body)
	}
	if a := pay(ada.ID, `{"access_token":"`+strong+`"}`); !a.decision() {
		t.Errorf("signed in well enough: %s", a.Body)
	}
	for name, a := range map[string]answer{
		"a caller's word beside a token": pay(ada.ID, `{"acr":"aal2","access_token":"`+weak+`"}`),
		"somebody else's token":          pay(bea.ID, `{"access_token":"`+strong+`"}`),
		"a token for another API":        pay(ada.ID, `{"access_token":"`+foreign+`"}`),
		"a forged token":                 pay(ada.ID, `{"access_token":"`+strong[:len(strong)-4]+`AAAA"}`),
		"a forged token and a word":      pay(ada.ID, `{"acr":"aal2","access_token":"x"}`),
	} {
		if a.decision() {
			t.Errorf("%s permits: %s", name, a.Body)
		}
		if strings.Contains(a.Body.String(), "eyJ") {
			t.Errorf("%s: the token comes back: %s", name, a.Body)
		}
	}
	for name, context := range map[string]string{"a number": `{"access_token":7}`, "empty": `{"access_token":""}`} {
		pay(ada.ID, context).expect(name, http.StatusBadRequest)
	}
	// Defaults of a batch vouch for the items that do not bring their own.
	batch := d.post("/evaluations", object(`"action":{"name":"pay"}`, active, `"context":{"access_token":"`+strong+`"}`,
		`"evaluations":[{"subject":{"type":"user","id":"`+ada.ID+`"}},{"subject":{"type":"user","id":"`+bea.ID+`"}},{"subject":{"type":"user","id":"`+ada.ID+`"},"context":{"acr":"aal2","access_token":"`+weak+`"}},{"subject":{"type":"user","id":"`+ada.ID+`"}}]`))
	if got := fmt.Sprint(batch.decisions()); got != "[true false false true]" {
		t.Errorf("a batch: %s %s", got, batch.Body)
	}
	// With a person's own token, only that person can be asked about.
	self := bearing("Bearer " + d.signedIn(ada, "aal2", d.issuer()+authzen.Path))
	if a := d.post("/evaluation", object(`"subject":{"type":"user","id":"`+ada.ID+`"}`, `"action":{"name":"pay"}`, active), self); !a.decision() {
		t.Errorf("about oneself: %s", a.Body)
	}
	if a := d.post("/evaluation", object(`"subject":{"type":"user","id":"`+bea.ID+`"}`, `"action":{"name":"pay"}`, active, `"context":{"acr":"aal2"}`), self); a.decision() {
		t.Errorf("about somebody else: %s", a.Body)
	}
	if a := d.post("/evaluation", object(`"subject":{"type":"user","id":"`+bea.ID+`"}`, `"action":{"name":"pay"}`, active, `"context":{"access_token":"`+d.signedIn(bea, "aal2", api+"/pep")+`"}`), self); a.decision() {
		t.Errorf("about somebody else whose token is at hand: %s", a.Body)
	}
	d.post("/search/subject", object(someone, `"action":{"name":"pay"}`, active), self).expect("who else may", http.StatusForbidden)

	// A token is never judged on facts that are older than itself, wherever it comes.
	before := d.Env.Snapshot
	lagging := func(token string) {
		minted := mintedAt(t, token)
		d.Env.Snapshot = func(ctx context.Context, name string, min audit.Position) (*policy.Snapshot, audit.Position, error) {
			if min.Before(minted) {
				return before(ctx, name, audit.Position{})
			}
			return nil, audit.Position{}, fault.New(fault.Unavailable, authzen.CodeRevision, "this node is one position behind the token")
		}
	}
	lagging(strong)
	adas := `"subject":{"type":"user","id":"` + ada.ID + `"},"action":{"name":"pay"}`
	if a := pay(ada.ID, `{"access_token":"`+strong+`"}`); a.decision() || !strings.Contains(a.Body.String(), "revision") {
		t.Errorf("judged on older facts than the token: %s", a.Body)
	}
	if got := d.post("/evaluations", object(active, `"evaluations":[{`+adas+`,"context":{"acr":"aal2"}},{`+adas+`,"context":{"access_token":"`+strong+`"}}]`)).decisions(); got[0] || got[1] {
		t.Errorf("a batch in which one item brings the token: %v", got)
	}
	if got, _ := d.post("/search/resource", object(adas, some, `"context":{"access_token":"`+strong+`"}`)).found(); len(got) > 0 {
		t.Errorf("a search on older facts than the token: %v", got)
	}
	mine := d.signedIn(ada, "aal2", d.issuer()+authzen.Path)
	lagging(mine)
	if a := d.post("/evaluation", object(adas, active), bearing("Bearer "+mine)); a.decision() {
		t.Errorf("the caller's own token is judged on older facts: %s", a.Body)
	}
	program := d.own("pep")
	lagging(program)
	if a := d.post("/evaluation", object(adas, active, `"context":{"acr":"aal2"}`), bearing("Bearer "+program)); a.decision() {
		t.Errorf("a program's question is judged on older facts than its token: %s", a.Body)
	}
	if a := d.post("/evaluation", object(adas, active, `"context":{"acr":"aal2"}`), basic("pep", d.secrets["pep"])); !a.decision() {
		t.Errorf("without a token there is nothing to wait for: %s", a.Body)
	}
	d.Env.Snapshot = before

	// Dead tokens vouch for nobody.
	if err := e.Grants.Revoke(t.Context(), audit.System, d.realm, d.grants[strong], "test"); err != nil {
		t.Fatal(err)
	}
	if a := pay(ada.ID, `{"access_token":"`+strong+`"}`); a.decision() {
		t.Errorf("a revoked token permits: %s", a.Body)
	}
}

// mintedAt reads mpos out of an access token.
func mintedAt(t *testing.T, token string) audit.Position {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(payload), `"mpos":"`)
	text, _, _ := strings.Cut(after, `"`)
	at, err := audit.ParsePosition(text)
	if err != nil {
		t.Fatalf("%v in %s", err, payload)
	}
	return at
}

// signedIn gives somebody's access token of the application web.
func (d *desk) signedIn(who *principal.Principal, acr, audience string) string {
	d.Helper()
	ctx := context.Background()
	creds, err := d.Credentials.List(ctx, d.realm, who.ID)
	if err != nil || len(creds) == 0 {
		d.Fatal(creds, err)
	}
	s, err := d.Sessions.Begin(ctx, audit.System, d.realm, session.New{Principal: who.ID, Credential: creds[0].ID, ACR: acr, AMR: []string{"pwd"}})
	if err != nil {
		d.Fatal(err)
	}
	slot, err := d.Grants.Reserve(ctx, d.realm, grant.ForGrants)
	if err != nil {
		d.Fatal(err)
	}
	var g *grant.Grant
	err = d.DB.UpdateRC(ctx, d.realm, func(tx *db.Tx) error {
		g, _, err = d.Grants.CreateTx(tx, audit.System, slot, grant.New{Kind: grant.Authorization, Principal: who.ID, Client: "web", Session: s.ID,
			Scopes: []string{authzen.Scope}, Audience: []string{audience}, ACR: acr, AMR: []string{"pwd"}, AuthTime: d.Clock.Now()})
		return err
	})
	if err != nil {
		d.Fatal(err)
	}
	issued, err := d.Tokens.Issue(ctx, audit.System, token.Request{Grant: g, Scopes: []string{authzen.Scope}, Audience: []string{audience}})
	if err != nil {
		d.Fatal(err)
	}
	d.grants[issued.Access] = g.ID
	return issued.Access
}
