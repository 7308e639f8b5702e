package realm_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
)

const issuer = "https://id.example.com/auth"

func run(t *testing.T, fn func(t *testing.T, e *audittest.Env, r *realm.Registry)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		r, err := realm.NewRegistry(e.DB, e.Log, issuer)
		if err != nil {
			t.Fatal(err)
		}
		e.Start(t)
		if err := r.Ensure(t.Context(), audit.System); err != nil {
			t.Fatal(err)
		}
		fn(t, e, r)
	})
}

func mustCreate(t *testing.T, r *realm.Registry, n realm.New) *realm.Realm {
	t.Helper()
	made, err := r.Create(t.Context(), audittest.By, n)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestEveryRealmHasItsOwnIssuerAndPath(t *testing.T) {
	run(t, func(t *testing.T, e *audittest.Env, r *realm.Registry) {
		mustCreate(t, r, realm.New{Name: "acme"})
		mustCreate(t, r, realm.New{Name: "bank", Host: "login.bank.example"})
		for _, c := range []struct{ name, issuer, path string }{
			{"default", issuer, "/auth"},
			{"acme", issuer + "/realms/acme", "/auth/realms/acme"},
			{"bank", "https://login.bank.example", ""},
		} {
			got, err := r.ByName(t.Context(), c.name)
			if err != nil || got.Issuer != c.issuer || got.Path != c.path {
				t.Errorf("ByName(%s) = %+v, %v; want issuer %s and path %s", c.name, got, err, c.issuer, c.path)
			}
		}
	})
}

func TestResolve(t *testing.T) {
	run(t, func(t *testing.T, e *audittest.Env, r *realm.Registry) {
		mustCreate(t, r, realm.New{Name: "acme"})
		mustCreate(t, r, realm.New{Name: "bank", Host: "login.bank.example"})
		for _, c := range []struct{ host, path, name, rest string }{
			{"id.example.com", "/auth", "default", "/"},
			{"id.example.com", "/auth/oauth2/token", "default", "/oauth2/token"},
			{"ID.example.com", "/auth/signin", "default", "/signin"},
			{"10.0.0.7:8080", "/auth/signin", "default", "/signin"},
			{"id.example.com", "/authority", "", ""},
			{"id.example.com", "/auth/realms/acme", "acme", "/"},
			{"id.example.com", "/auth/realms/acme/oauth2/token", "acme", "/oauth2/token"},
			{"id.example.com", "/auth/realms/acme//x", "acme", "//x"},
			{"id.example.com", "/auth/realms/nobody/signin", "", ""},
			{"id.example.com", "/auth/realms/default/signin", "", ""},
			{"id.example.com", "/auth/realms/ACME/signin", "", ""},
			{"id.example.com", "/auth/realms/../signin", "", ""},
			{"id.example.com", "/auth/realms/bank/signin", "", ""}, // has a host, and is served there only
			{"login.bank.example", "/signin", "bank", "/signin"},
			{"LOGIN.bank.example", "/realms/acme/signin", "bank", "/realms/acme/signin"},
			{"id.example.com", "/.well-known/oauth-authorization-server/auth", "default", "/.well-known/oauth-authorization-server"},
			{"id.example.com", "/.well-known/oauth-authorization-server/auth/realms/acme", "acme", "/.well-known/oauth-authorization-server"},
			{"id.example.com", "/.well-known/oauth-authorization-server/auth/realms/acme/x", "", ""},
			{"id.example.com", "/.well-known/x/.well-known/y/auth", "", ""},
			{"id.example.com", "/.well-known/oauth-protected-resource/auth", "default", "/.well-known/oauth-protected-resource"},
			{"id.example.com", "/.well-known/oauth-protected-resource/auth/api/v1", "default", "/.well-known/oauth-protected-resource/api/v1"},
			{"id.example.com", "/.well-known/oauth-protected-resource/auth/realms/acme/api/v1", "acme", "/.well-known/oauth-protected-resource/api/v1"},
			{"id.example.com", "/.well-known/oauth-protected-resource/.well-known/y/auth", "", ""},
			{"id.example.com", "/.well-known/oauth-protected-resource/auth/realms/bank/api/v1", "", ""},
			{"login.bank.example", "/.well-known/oauth-protected-resource/api/v1", "bank", "/.well-known/oauth-protected-resource/api/v1"},
			{"id.example.com", "/auth/.well-known/openid-configuration", "default", "/.well-known/openid-configuration"},
			{"id.example.com", "/.well-known/webauthn", "default", "/.well-known/webauthn"},
			{"id.example.com", "/.well-known/passkey-endpoints", "default", "/.well-known/passkey-endpoints"},
			{"id.example.com", "/.well-known/nothing", "", ""},
			{"login.bank.example", "/.well-known/webauthn", "bank", "/.well-known/webauthn"},
			{"login.bank.example", "/.well-known/openid-configuration", "bank", "/.well-known/openid-configuration"},
			{"bad host!", "/auth/signin", "default", "/signin"},
		} {
			got, rest, err := r.Resolve(t.Context(), c.host, c.path)
			if c.name == "" {
				if !fault.Is(err, fault.NotFound) {
					t.Errorf("Resolve(%s, %s) = %v, %q, %v; want not found", c.host, c.path, got, rest, err)
				}
				continue
			}
			if err != nil || got.Name != c.name || rest != c.rest {
				t.Errorf("Resolve(%s, %s) = %v, %q, %v; want %s and %q", c.host, c.path, got, rest, err, c.name, c.rest)
			}
		}
	})
}

func TestARealmInUseCostsNoQuery(t *testing.T) {
	run(t, func(t *testing.T, e *audittest.Env, r *realm.Registry) {
		mustCreate(t, r, realm.New{Name: "acme"})
		for _, path := range []string{"/auth/realms/acme/x", "/auth/realms/nobody/x", "/auth/x"} {
			r.Resolve(t.Context(), "other.example", path)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel() // a query would fail now
		for path, want := range map[string]string{"/auth/realms/acme/x": "acme", "/auth/x": "default"} {
			if got, _, err := r.Resolve(gone, "other.example", path); err != nil || got.Name != want {
				t.Errorf("Resolve(%s) = %v, %v; want %s from memory", path, got, err, want)
			}
		}
		if _, _, err := r.Resolve(gone, "other.example", "/auth/realms/nobody/x"); !fault.Is(err, fault.NotFound) {
			t.Errorf("Resolve of an unknown realm = %v, want not found from memory", err)
		}
	})
}

func TestAChangeIsSeenAtOnce(t *testing.T) {
	run(t, func(t *testing.T, e *audittest.Env, r *realm.Registry) {
		if _, _, err := r.Resolve(t.Context(), "id.example.com", "/auth/realms/acme/x"); !fault.Is(err, fault.NotFound) {
			t.Fatalf("before it is made: %v", err)
		}
		made := mustCreate(t, r, realm.New{Name: "acme", Settings: map[string]any{"guess_limit": 3}})
		got, err := r.ByName(t.Context(), "acme")
		if err != nil || got.Settings.GuessLimit != 3 || got.Settings.CodeTTL != time.Minute {
			t.Fatalf("ByName = %+v, %v", got, err)
		}
		host := "acme.example"
		if _, err := r.Update(t.Context(), audittest.By, "acme", made.Version, realm.Change{Host: &host, Settings: map[string]any{"guess_limit": nil, "session_idle": "2h"}}); err != nil {
			t.Fatal(err)
		}
		got, rest, err := r.Resolve(t.Context(), host, "/x")
		if err != nil || got.Name != "acme" || rest != "/x" || got.Settings.GuessLimit != 10 || got.Settings.SessionIdle != 2*time.Hour {
			t.Errorf("Resolve(%s) = %+v, %v", host, got, err)
		}
		if _, err := r.Update(t.Context(), audittest.By, "acme", made.Version, realm.Change{}); !fault.Is(err, fault.Precondition) {
			t.Errorf("Update of an old version = %v, want precondition", err)
		}
		if got := slices.Sorted(slices.Values(e.Events(t, "acme"))); !slices.Equal(got, []string{"realm.create", "realm.update"}) {
			t.Errorf("events = %v", got)
		}
		if got := e.Events(t, "default"); !slices.Equal(got, []string{"realm.create"}) {
			t.Errorf("the neighbour's events = %v", got)
		}
	})
}

func TestADeletedRealmIsGoneForEver(t *testing.T) {
	run(t, func(t *testing.T, e *audittest.Env, r *realm.Registry) {
		mustCreate(t, r, realm.New{Name: "acme", Host: "acme.example"})
		if err := r.Delete(t.Context(), audittest.By, "acme"); err != nil {
			t.Fatal(err)
		}
		if err := r.Delete(t.Context(), audittest.By, "acme"); err != nil {
			t.Errorf("deleting again = %v, want nil", err)
		}
		if _, err := r.ByName(t.Context(), "acme"); !fault.Is(err, fault.NotFound) {
			t.Errorf("ByName = %v, want not found", err)
		}
		if _, err := r.Create(t.Context(), audittest.By, realm.New{Name: "acme"}); fault.Code(err) != "realm_exists" {
			t.Errorf("Create = %v, want realm_exists: names are not used twice", err)
		}
		if _, err := r.Update(t.Context(), audittest.By, "acme", 0, realm.Change{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("Update = %v, want not found", err)
		}
		mustCreate(t, r, realm.New{Name: "heir", Host: "acme.example"})
		if err := r.Delete(t.Context(), audittest.By, realm.Default); !fault.Is(err, fault.Conflict) {
			t.Errorf("deleting the default realm = %v, want conflict", err)
		}
		all, _, err := e.Log.Query(t.Context(), "acme", audit.Filter{Limit: 10})
		if err != nil || len(all) != 2 || all[0].Cut == nil && all[1].Cut == nil {
			t.Errorf("events = %+v, %v; want one with a cut-off", all, err)
		}
	})
}

func TestOnCreateRunsInTheSameTransaction(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		r, err := realm.NewRegistry(e.DB, e.Log, issuer)
		if err != nil {
			t.Fatal(err)
		}
		refuse := false
		r.OnCreate(func(tx *db.Tx, by audit.Actor, made *realm.Realm) error {
			if tx.Realm != made.Name || made.Issuer == "" {
				t.Errorf("OnCreate got realm %q in a transaction of %q", made.Name, tx.Realm)
			}
			if refuse {
				return errors.New("no key")
			}
			return nil
		})
		e.Start(t)
		refuse = true
		if _, err := r.Create(t.Context(), audittest.By, realm.New{Name: "acme"}); err == nil {
			t.Error("Create succeeded though a hook failed")
		}
		refuse = false
		mustCreate(t, r, realm.New{Name: "acme"})
	})
}

func TestListPages(t *testing.T) {
	run(t, func(t *testing.T, e *audittest.Env, r *realm.Registry) {
		for _, name := range []string{"c", "a", "b"} {
			mustCreate(t, r, realm.New{Name: name})
		}
		var names []string
		for after := ""; ; {
			page, next, err := r.List(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				names = append(names, e.Name)
			}
			if after = next; next == "" {
				break
			}
		}
		if want := []string{"a", "b", "c", "default"}; !slices.Equal(names, want) {
			t.Errorf("listed %v, want %v", names, want)
		}
	})
}

func TestBadRealmsAreRefused(t *testing.T) {
	run(t, func(t *testing.T, e *audittest.Env, r *realm.Registry) {
		mustCreate(t, r, realm.New{Name: "acme", Host: "acme.example"})
		for name, n := range map[string]realm.New{
			"empty name":         {},
			"upper case":         {Name: "Acme"},
			"double hyphen":      {Name: "a--b"},
			"hyphen at the end":  {Name: "a-"},
			"slash":              {Name: "a/b"},
			"too long":           {Name: "a234567890123456789012345678901234567890x"},
			"control in name":    {Name: "b", DisplayName: "a\nb"},
			"direction override": {Name: "b", DisplayName: "a\u202eb"},
			"host with path":     {Name: "b", Host: "x.example/y"},
			"host with 443":      {Name: "b", Host: "x.example:443"},
			"issuer's host":      {Name: "b", Host: "id.example.com"},
			"taken host":         {Name: "b", Host: "acme.example"},
			"taken name":         {Name: "acme"},
			"unknown setting":    {Name: "b", Settings: map[string]any{"acess_token_ttl": "5m"}},
			"too long a time":    {Name: "b", Settings: map[string]any{"code_ttl": "11m"}},
			"negative time":      {Name: "b", Settings: map[string]any{"code_ttl": "-1m"}},
			"a number for time":  {Name: "b", Settings: map[string]any{"code_ttl": 60}},
			"a short password":   {Name: "b", Settings: map[string]any{"password_min_length": 14}},
			"half a guess":       {Name: "b", Settings: map[string]any{"guess_limit": 9.5}},
			"idle over absolute": {Name: "b", Settings: map[string]any{"session_idle": "40d"}},
			"a tag that is none": {Name: "b", Settings: map[string]any{"default_language": "<en>"}},
		} {
			if _, err := r.Create(t.Context(), audittest.By, n); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Conflict) {
				t.Errorf("%s: Create = %v, want it refused", name, err)
			}
		}
		if _, err := r.ByName(t.Context(), "b"); !fault.Is(err, fault.NotFound) {
			t.Errorf("a refused realm exists: %v", err)
		}
	})
}

func TestTakenHostOnUpdate(t *testing.T) {
	run(t, func(t *testing.T, e *audittest.Env, r *realm.Registry) {
		mustCreate(t, r, realm.New{Name: "a", Host: "a.example"})
		mustCreate(t, r, realm.New{Name: "b"})
		host := "a.example"
		if _, err := r.Update(t.Context(), audittest.By, "b", 0, realm.Change{Host: &host}); fault.Code(err) != "host_taken" {
			t.Errorf("Update = %v, want host_taken", err)
		}
	})
}

func TestSettingsReadBackAsWritten(t *testing.T) {
	b, err := json.Marshal(realm.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if len(m) != len(realm.Fields()) || m["refresh_idle"] != "30d" || m["guess_limit"] != 10.0 || m["code_ttl"] != "1m" {
		t.Errorf("default settings = %s", b)
	}
	run(t, func(t *testing.T, e *audittest.Env, r *realm.Registry) {
		made := mustCreate(t, r, realm.New{Name: "same", Settings: m})
		if made.Settings != realm.DefaultSettings() {
			t.Errorf("settings = %+v, want the default", made.Settings)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"90s", "30d", "1h30m", "-1d", "65536d", "d", "", "9223372036854775807ns"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := realm.ParseDuration(text)
		if err == nil && d < 0 && !strings.Contains(text, "-") {
			t.Errorf("ParseDuration(%q) = %v", text, d)
		}
	})
}

func FuzzResolve(f *testing.F) {
	e := audittest.New(f, dbtest.Open(f, db.SQLite))
	r, err := realm.NewRegistry(e.DB, e.Log, issuer)
	if err != nil {
		f.Fatal(err)
	}
	e.Start(f)
	for _, name := range []string{"default", "acme"} {
		if _, err := r.Create(context.Background(), audit.System, realm.New{Name: name}); err != nil {
			f.Fatal(err)
		}
	}
	for _, path := range []string{"/auth/realms/acme/x", "/.well-known/x/auth/realms/acme", "/auth", "//", "/auth/realms//", "/auth/realms/../acme"} {
		f.Add("id.example.com", path)
		f.Add("[::1]:8080", path)
	}
	f.Fuzz(func(t *testing.T, host, path string) {
		found, rest, err := r.Resolve(context.Background(), host, path)
		switch {
		case fault.Is(err, fault.NotFound):
		case err != nil:
			t.Errorf("Resolve(%q, %q) = %v", host, path, err)
		case found.Name != "default" && found.Name != "acme" || !strings.HasPrefix(rest, "/"):
			t.Errorf("Resolve(%q, %q) = %s, %q", host, path, found.Name, rest)
		case !strings.Contains(path, "/.well-known/") && path != found.Path+rest && path != found.Path:
			t.Errorf("Resolve(%q, %q): %s is at %q, and the rest is %q", host, path, found.Name, found.Path, rest)
		}
	})
}
