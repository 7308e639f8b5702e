package client_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// world is a registry on a database, with what it stands on.
type world struct {
	*testing.T
	*audittest.Env
	clients     *client.Registry
	credentials *credential.Store
	hold        *audittest.Hold
}

func run(t *testing.T, fn func(w *world)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
		if err != nil {
			t.Fatal(err)
		}
		secrets := credential.NewStore(e.DB, e.Log, box)
		w := &world{T: t, Env: e, clients: client.New(e.DB, e.Log, secrets), credentials: secrets, hold: e.Hold()}
		e.Start(t)
		fn(w)
	})
}

func web() client.Settings {
	return client.Settings{Name: "App", Scopes: []string{"openid", "offline_access"}, RedirectURIs: []string{"https://app.example.com/cb"}}
}

func (w *world) create(id string, s client.Settings) client.Changed {
	w.Helper()
	c, err := w.clients.Create(context.Background(), audittest.By, dbtest.Realm, client.Draft{ID: id, Settings: s})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) read(id string) *client.Client {
	w.Helper()
	c, err := w.clients.ByID(context.Background(), dbtest.Realm, id)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) tx(fn func(tx *db.Tx) error) error {
	w.Helper()
	return w.DB.Update(context.Background(), dbtest.Realm, fn)
}

// TestClientIsBornWhole: a client comes with its principal and its secret, and
// a neighbour knows nothing of it.
func TestClientIsBornWhole(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		made := w.create("app", web())
		c := w.read("app")
		if c.Principal == "" || c.AuthMethod != client.SecretBasic || !slices.Equal(c.GrantTypes, []string{client.AuthorizationCode, client.RefreshToken}) || !c.Enabled || c.Version != 1 {
			w.Errorf("%+v", c)
		}
		if _, err := w.credentials.CheckSecret(ctx, dbtest.Realm, c.Principal, made.Secret); err != nil {
			w.Errorf("the secret: %v", err)
		}
		var p *principal.Principal
		if err := w.tx(func(tx *db.Tx) (err error) { p, err = principal.ByIDTx(tx, c.Principal); return err }); err != nil || p.Kind != principal.Service {
			w.Errorf("%+v %v", p, err)
		}
		if by, err := w.clients.ByPrincipal(ctx, dbtest.Realm, c.Principal); err != nil || by.ID != "app" {
			w.Errorf("by principal: %+v %v", by, err)
		}
		if _, err := w.clients.ByID(ctx, dbtest.Neighbour, "app"); !fault.Is(err, fault.NotFound) {
			w.Errorf("the neighbour: %v", err)
		}
		if got := w.Events(w.T, dbtest.Neighbour); len(got) != 0 {
			w.Errorf("the neighbour's log: %v", got)
		}
		if got := w.Events(w.T, dbtest.Realm); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"client.create", "credential.create", "principal.create"}) {
			w.Errorf("events: %v", got)
		}
		anonymous := w.create("", client.Settings{Name: "SPA", Type: client.SPA, RedirectURIs: []string{"https://spa.example.com/cb"}})
		if !strings.HasPrefix(anonymous.ID, "cli_") || anonymous.Secret != "" || anonymous.AuthMethod != client.None {
			w.Errorf("%+v", anonymous)
		}
	})
}

// TestClientIDsAreChosenOnce: two never share an id, and a deleted one's is not
// given again. Nor can it look like the id of somebody else.
func TestClientIDsAreChosenOnce(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		w.create("app", web())
		again := func(id string) error {
			_, err := w.clients.Create(ctx, audittest.By, dbtest.Realm, client.Draft{ID: id, Settings: web()})
			return err
		}
		if err := again("app"); !fault.Is(err, fault.Conflict) {
			w.Errorf("taken: %v", err)
		}
		if err := w.tx(func(tx *db.Tx) error { return w.clients.DeleteTx(tx, audittest.By, "app", 0) }); err != nil {
			w.Fatal(err)
		}
		if err := again("app"); !fault.Is(err, fault.Conflict) {
			w.Errorf("deleted: %v", err)
		}
		if _, err := w.clients.ByID(ctx, dbtest.Realm, "app"); !fault.Is(err, fault.NotFound) {
			w.Errorf("deleted, read: %v", err)
		}
		remove := func(id string) error {
			return w.tx(func(tx *db.Tx) error { return w.clients.DeleteTx(tx, audittest.By, id, 0) })
		}
		w.hold.Waits(w.T, "deleting twice", func() error { return remove("app") })
		for _, id := range []string{"nothing", "NOT AN ID"} {
			if err := remove(id); !fault.Is(err, fault.NotFound) {
				w.Errorf("deleting %q: %v", id, err)
			}
		}
		for _, id := range []string{"a", "App", "usr_0198f2c4a1b3kq7m2x9d5tz8wr", "cli_0198f2c4a1b3kq7m2x9d5tz8wr", "-app", "app-", "a b", "a/b", "ä-app", strings.Repeat("a", 65)} {
			if err := again(id); !fault.Is(err, fault.Invalid) {
				w.Errorf("%q: %v", id, err)
			}
		}
	})
}

// TestChangesReachMemory: what is read after a change is the change, and whoever
// changes what they have not seen is refused.
func TestChangesReachMemory(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		w.create("app", web())
		before := w.read("app")
		s := before.Settings
		s.Name = "Renamed"
		if _, err := w.clients.Update(ctx, audittest.By, dbtest.Realm, "app", before.Version, s); err != nil {
			w.Fatal(err)
		}
		if after := w.read("app"); after.Name != "Renamed" || after.Version != 2 || before.Name != "App" {
			w.Errorf("%+v, before %+v", after, before)
		}
		if _, err := w.clients.Update(ctx, audittest.By, dbtest.Realm, "app", before.Version, s); !fault.Is(err, fault.Precondition) {
			w.Errorf("stale: %v", err)
		}
		if _, err := w.clients.Update(ctx, audittest.By, dbtest.Realm, "nobody", 0, s); !fault.Is(err, fault.NotFound) {
			w.Errorf("unknown: %v", err)
		}
		s.Type = "toaster"
		if _, err := w.clients.Update(ctx, audittest.By, dbtest.Realm, "app", 0, s); !fault.Is(err, fault.Invalid) {
			w.Errorf("not valid: %v", err)
		}
		if w.read("app").Type != client.Web {
			w.Error("a refused change was made")
		}
	})
}

// TestMethodsTakeTheirCredentials: CL-03. When a client authenticates otherwise,
// what it used before is dead.
func TestMethodsTakeTheirCredentials(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		made := w.create("app", web())
		s := made.Settings
		s.AuthMethod, s.JWKSURI = client.PrivateKeyJWT, "https://app.example.com/jwks"
		changed, err := w.clients.Update(ctx, audittest.By, dbtest.Realm, "app", 0, s)
		if err != nil || len(changed.Revoked) != 1 || changed.Secret != "" {
			w.Fatalf("%+v %v", changed, err)
		}
		if _, err := w.credentials.CheckSecret(ctx, dbtest.Realm, made.Principal, made.Secret); err == nil {
			w.Error("the old secret lives")
		}
		if set, err := w.credentials.KeySet(ctx, dbtest.Realm, made.Principal); err != nil || set.ID == "" {
			w.Errorf("key set: %+v %v", set, err)
		}
		s.AuthMethod, s.JWKSURI = client.SecretPost, ""
		changed, err = w.clients.Update(ctx, audittest.By, dbtest.Realm, "app", 0, s)
		if err != nil || changed.Secret == "" || len(changed.Revoked) != 1 {
			w.Fatalf("%+v %v", changed, err)
		}
		if _, err := w.credentials.KeySet(ctx, dbtest.Realm, made.Principal); err == nil {
			w.Error("the old key set lives")
		}
		hashed := changed.Secret
		s.AuthMethod = client.SecretJWT
		changed, err = w.clients.Update(ctx, audittest.By, dbtest.Realm, "app", 0, s)
		if err != nil || changed.Secret == "" || len(changed.Revoked) != 1 {
			w.Fatalf("to a secret that it signs with: %+v %v", changed, err)
		}
		if _, err := w.credentials.CheckSecret(ctx, dbtest.Realm, made.Principal, hashed); err == nil {
			w.Error("the secret lives that is kept as a hash")
		}
		if shared, err := w.credentials.SharedSecrets(ctx, dbtest.Realm, made.Principal); err != nil || len(shared) != 1 || shared[0].Text != changed.Secret {
			w.Errorf("the sealed secret: %v %v", shared, err)
		}
	})
}

// TestDisabledMeansDead: a disabled client is not alive, its life is another
// one when it comes back, and each death is a cut-off on the log.
func TestDisabledMeansDead(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		w.create("app", web())
		disable := func() error {
			return w.tx(func(tx *db.Tx) error { _, err := w.clients.DisableTx(tx, audittest.By, "app", 0); return err })
		}
		life := w.read("app").Life
		if err := disable(); err != nil {
			w.Fatal(err)
		}
		if _, err := w.clients.Live(ctx, dbtest.Realm, "app"); !fault.Is(err, fault.Forbidden) {
			w.Errorf("live: %v", err)
		}
		if err := w.tx(func(tx *db.Tx) error { _, err := client.AliveTx(tx, "app"); return err }); !fault.Is(err, fault.Forbidden) {
			w.Errorf("alive: %v", err)
		}
		if err := disable(); err != nil {
			w.Errorf("once more: %v", err)
		}
		if _, err := w.clients.Enable(ctx, audittest.By, dbtest.Realm, "app", 0); err != nil {
			w.Fatal(err)
		}
		if c, err := w.clients.Live(ctx, dbtest.Realm, "app"); err != nil || c.Life != life+1 {
			w.Errorf("enabled: %+v %v", c, err)
		}
		all, _, err := w.Log.Query(ctx, dbtest.Realm, audit.Filter{Limit: 100})
		if err != nil {
			w.Fatal(err)
		}
		cuts := 0
		for _, r := range all {
			if r.Cut != nil && r.Cut.Kind == "client" && r.Cut.ID == "app" {
				cuts++
			}
		}
		if cuts != 1 {
			w.Errorf("%d cut-offs of one death", cuts)
		}
	})
}

// TestBuiltIns: every realm has the command line's client, which may be
// disabled but not deleted.
func TestBuiltIns(t *testing.T) {
	run(t, func(w *world) {
		if err := w.tx(func(tx *db.Tx) error { return w.clients.BuiltIns(tx, audittest.By) }); err != nil {
			w.Fatal(err)
		}
		c := w.read(client.CLI)
		if !c.BuiltIn || !c.Public() || !c.AllowsRedirect("http://127.0.0.1:43210/callback") || !c.AllowsScope("cardea:admin") || c.FirstParty {
			w.Errorf("%+v", c)
		}
		if !c.AllowsAudience("https://id.example.com", "https://id.example.com/api/v1") {
			w.Error("it cannot reach the admin API")
		}
		err := w.tx(func(tx *db.Tx) error { return w.clients.DeleteTx(tx, audittest.By, client.CLI, 0) })
		if !fault.Is(err, fault.Conflict) {
			w.Errorf("deleted: %v", err)
		}
	})
}

// TestOriginsFollowTheClients: WB-04. Only enabled single-page applications
// open the door to their origins.
func TestOriginsFollowTheClients(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		allowed := func(origin string) bool {
			w.Helper()
			ok, err := w.clients.AllowsOrigin(ctx, dbtest.Realm, origin)
			if err != nil {
				w.Fatal(err)
			}
			return ok
		}
		if allowed("https://spa.example.com") {
			w.Error("before there is a client")
		}
		w.create("app", web())
		spa := w.create("spa", client.Settings{Name: "SPA", Type: client.SPA, RedirectURIs: []string{"https://spa.example.com/cb", "https://spa.example.com/other", "http://localhost:3000/cb"}})
		if !allowed("https://spa.example.com") || !allowed("http://localhost:3000") || allowed("https://app.example.com") || allowed("http://localhost") {
			w.Error("exactly the application's origins")
		}
		s := spa.Settings
		s.RedirectURIs = []string{"https://new.example.com/cb"}
		if _, err := w.clients.Update(ctx, audittest.By, dbtest.Realm, "spa", 0, s); err != nil {
			w.Fatal(err)
		}
		if allowed("https://spa.example.com") || !allowed("https://new.example.com") {
			w.Error("after a change")
		}
		if err := w.tx(func(tx *db.Tx) error { return w.clients.DeleteTx(tx, audittest.By, "spa", 0) }); err != nil {
			w.Fatal(err)
		}
		if allowed("https://new.example.com") {
			w.Error("after deletion")
		}
	})
}

// TestPages: a list is read page by page, each client once.
func TestPages(t *testing.T) {
	run(t, func(w *world) {
		var want, got []string
		for _, id := range []string{"ccc", "aaa", "bbb", "eee", "ddd"} {
			w.create(id, web())
			want = append(want, id)
		}
		slices.Sort(want)
		cursor := ""
		for {
			page, next, err := w.clients.List(context.Background(), dbtest.Realm, cursor, 2)
			if err != nil || len(page) > 2 {
				w.Fatalf("%v %v", page, err)
			}
			for _, c := range page {
				got = append(got, c.ID)
			}
			if cursor = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			w.Errorf("%v, want %v", got, want)
		}
	})
}
