package apptest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/trust"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

const flowFolder = "../../../testdata/flows"

// Every conversation runs on each database, in the default realm and in
// another one. The realm that is not spoken to must not notice.
func TestFlows(t *testing.T) {
	only := os.Getenv("CARDEA_FLOW")
	files, err := filepath.Glob(flowFolder + "/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no flows in %s: %v", flowFolder, err)
	}
	Run(t, func(t *testing.T, e *Env) {
		signer, err := jose.Generate("k1", jose.ES256)
		if err != nil {
			t.Fatal(err)
		}
		origin, delivered := receive(e)
		cast := map[string]map[string]string{realm.Default: cast(t, e, realm.Default, origin, signer), Neighbour: cast(t, e, Neighbour, origin, signer)}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".txt")
			if only != "" && name != only {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parseFlow(filepath.Base(file), string(text))
			if err != nil {
				t.Fatal(err)
			}
			for in, other := range map[string]string{realm.Default: Neighbour, Neighbour: realm.Default} {
				t.Run(name+"/"+in, func(t *testing.T) {
					before := len(e.Events(t, other))
					c := &conversation{t: t, handler: e.Handler, issuer: IssuerOf(in), move: e.Clock.Advance, now: e.Clock.Now, signer: signer, vars: maps.Clone(cast[in]), verbose: only != "", delivered: delivered[in]}
					c.play(f)
					if after := e.Events(t, other); len(after) != before {
						t.Errorf("realm %s noticed: %s", other, after[0].Action)
					}
				})
			}
		}
		for _, in := range []string{realm.Default, Neighbour} {
			if v, err := e.Log.Verify(context.Background(), in); err != nil {
				t.Errorf("the log of realm %s: %v %v", in, v, err)
			}
		}
	})
}

// receive is an application beyond the program, which takes the forms that it is
// sent; the path of their address is a realm.
func receive(e *Env) (origin string, delivered map[string]chan []byte) {
	delivered = map[string]chan []byte{realm.Default: make(chan []byte, 100), Neighbour: make(chan []byte, 100)}
	origin = e.Outside.Serve("one.example.com", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		fields := map[string]string{}
		for name := range r.PostForm {
			fields[name] = r.PostForm.Get(name)
		}
		body, _ := json.Marshal(fields)
		delivered[strings.TrimPrefix(r.URL.Path, "/")] <- body
		w.WriteHeader(http.StatusNoContent)
	}))
	return origin, delivered
}

// cast makes the people and applications that the flows speak of, and gives
// what the flows call them.
func cast(t *testing.T, e *Env, in, outside string, signer *jose.Key) map[string]string {
	t.Helper()
	const redirect = "https://app.example/callback"
	ada, bob := e.Person(t, in, "ada@example.com"), e.Person(t, in, "bob@example.com")
	vars := map[string]string{
		"issuer": IssuerOf(in), "redirect": redirect, "password": Password, "verifier": "a-verifier-of-at-least-forty-three-characters-0",
		"ada": "ada@example.com", "ada_id": ada.ID, "bob": "bob@example.com", "bob_id": bob.ID, "api": "https://api.example",
	}
	app := client.Settings{
		Name: "Example App", Type: client.Web, RedirectURIs: []string{redirect}, PostLogoutRedirectURIs: []string{"https://app.example/"},
		GrantTypes: []string{client.AuthorizationCode, client.RefreshToken},
		Scopes:     []string{"openid", "profile", "email", "address", "phone", "offline_access", "read"}, Resources: []string{"https://api.example"},
		DetailTypes: []string{"payment"},
	}
	_, err := e.Details.Put(context.Background(), audit.System, in, 0, detail.Type{Name: "payment", Words: map[string]string{"en": "Pay {amount} to {to}"},
		Schema: `{"properties":{"to":{"type":"string"},"amount":{"pattern":"^[0-9]+[.][0-9]{2}$"}},"required":["to","amount"]}`})
	if err != nil {
		t.Fatal(err)
	}
	own := app
	own.Name, own.FirstParty = "Own App", true
	signs := own
	signs.AuthMethod, signs.RequestObjectAlg, signs.RequireSignedRequestObject, signs.JWKS = client.SecretBasic, jose.ES256, true, string(jose.Set{signer.Public()}.JSON())
	spa := own
	spa.Name, spa.Type, spa.AuthMethod = "Page", client.SPA, client.None
	worker := client.Settings{Name: "Worker", Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: []string{"read"}, Resources: []string{"https://api.example"}}
	opaque := worker
	opaque.Name, opaque.AccessTokenFormat = "Discreet worker", client.Opaque
	api := client.Settings{Name: "API", Type: client.Service, ResourceServer: true, Identifiers: []string{"https://api.example"}}
	told := own
	told.Name, told.BackChannelLogoutURI = "Told App", outside+"/"+in
	tv := client.Settings{Name: "Living room", Type: client.Native, GrantTypes: []string{client.DeviceCode, client.RefreshToken},
		Scopes: []string{"openid", "email", "offline_access"}}
	bank := client.Settings{Name: "Call centre", Type: client.Web, GrantTypes: []string{client.CIBA, client.RefreshToken}, Scopes: []string{"openid", "email"}}
	broker := client.Settings{Name: "Broker", Type: client.Service, ResourceServer: true, Identifiers: []string{"https://api.example"},
		GrantTypes: []string{client.ClientCredentials, client.TokenExchange}, Scopes: []string{"read"}, Resources: []string{"https://api.example"}, ExchangeDelegation: true}
	courier := client.Settings{Name: "Courier", Type: client.Service, GrantTypes: []string{client.JWTBearer}, Scopes: []string{"read"}, Resources: []string{"https://api.example"}}
	own.GrantTypes = append(slices.Clone(own.GrantTypes), client.TokenExchange)
	own.IdentityAssertions = []client.Assertion{{Issuer: "https://chat.example", ClientID: "own-there", Scopes: []string{"chat.read", "chat.write"}, Resources: []string{"https://api.chat.example"}}}
	for id, settings := range map[string]client.Settings{"broker": broker, "courier": courier, "told": told, "tvset": tv, "bank": bank, "app": app, "own": own, "signer": signs, "spa": spa, "worker": worker, "opaque": opaque, "server": api} {
		vars[id+"_secret"] = e.Client(t, in, id, settings)
		made, err := e.Clients.ByID(context.Background(), in, id)
		if err != nil {
			t.Fatal(err)
		}
		vars[id+"_service"] = made.Principal
	}
	maps.Copy(vars, assertions(t, e, in, ada.ID))
	if _, err := e.Realms.Update(context.Background(), audit.System, in, 0, realm.Change{Settings: map[string]any{"registration": realm.RegistrationToken}}); err != nil {
		t.Fatal(err)
	}
	err = e.DB.Update(context.Background(), in, func(tx *db.Tx) error {
		_, text, err := e.Registered.CreateInitialTx(tx, audit.System, "flows", 100, 24*time.Hour)
		vars["initial_token"] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return vars
}

// assertions makes a realm trust an issuer that knows Ada as s-1, and gives what
// that says about her.
func assertions(t *testing.T, e *Env, in, ada string) map[string]string {
	t.Helper()
	ctx := context.Background()
	key, err := jose.Generate("k1", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "https://login.example"
	made, err := e.Trust.Create(ctx, audit.System, in, trust.Settings{Issuer: issuer, JWKS: string(jose.Set{key.Public()}.JSON()), Scopes: []string{"read"},
		Uses: []trust.Use{trust.JWTBearer, trust.IDJAG}, MaxLife: 24 * 60 * 60})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Trust.Link(ctx, audit.System, in, made.ID, "s-1", ada); err != nil {
		t.Fatal(err)
	}
	says := func(typ, subject, audience string, more ...string) string {
		now := e.Clock.Now()
		text, err := jose.Sign(key, typ, fmt.Appendf(nil, `{"iss":%q,"sub":%q,"aud":%q,"jti":%q,"iat":%d,"exp":%d%s}`,
			issuer, subject, audience, typ+subject+audience, now.Unix(), now.Add(23*time.Hour).Unix(), strings.Join(more, "")))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	return map[string]string{"assertion": says("JWT", "s-1", IssuerOf(in)), "assertion_about_nobody": says("JWT", "s-2", IssuerOf(in)),
		"assertion_elsewhere": says("JWT", "s-1", "https://elsewhere.example"),
		"id_jag":              says("oauth-id-jag+jwt", "s-1", IssuerOf(in), `,"client_id":"courier","scope":"read","resource":"https://api.example"`)}
}
