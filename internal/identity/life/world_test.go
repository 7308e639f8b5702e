package life_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// in reads a realm.
func in(t *testing.T, e *apptest.Env, name string) *realm.Realm {
	t.Helper()
	r, err := e.Realms.ByName(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// open lets strangers register in a realm.
func open(t *testing.T, e *apptest.Env, more map[string]any) *realm.Realm {
	t.Helper()
	settings := map[string]any{"self_registration": "on"}
	for k, v := range more {
		settings[k] = v
	}
	if _, err := e.Realms.Update(context.Background(), audit.System, realm.Default, 0, realm.Change{Settings: settings}); err != nil {
		t.Fatal(err)
	}
	return in(t, e, realm.Default)
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick, late := time.NewTicker(10*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after 30 seconds: %s", what)
		}
	}
}

// settled waits until no job waits.
func settled(t *testing.T, e *apptest.Env) {
	t.Helper()
	eventually(t, "jobs wait", func() bool {
		waiting, _, err := e.Jobs.Depth(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return waiting == 0
	})
}

var linkInMail = regexp.MustCompile(`https://\S+link=(cdl_[A-Za-z0-9_-]+)\S*`)

// mailed is the link of the newest letter to an address, which leads to path.
func mailed(t *testing.T, e *apptest.Env, address, path string) string {
	t.Helper()
	settled(t, e)
	for _, m := range e.Mail.To(address) {
		if found := linkInMail.FindStringSubmatch(m.Text); found != nil && strings.Contains(found[0], path+"?") {
			return found[1]
		}
	}
	t.Fatalf("no letter to %s leads to %s: %v", address, path, e.Mail.To(address))
	return ""
}

// begin signs somebody in and gives the session's id.
func begin(t *testing.T, e *apptest.Env, who string, password secret.Text) string {
	t.Helper()
	ctx := context.Background()
	r, err := e.Passwords.Check(ctx, audit.System, realm.Default, credential.Attempt{Identifier: who, Password: password})
	if err != nil || r.Outcome != credential.Right {
		t.Fatalf("%s does not sign in: %v, %v", who, r.Outcome, err)
	}
	s, err := e.Sessions.Begin(ctx, audit.System, realm.Default, session.New{Principal: r.Principal.ID, Credential: r.Credential, ACR: "aal1", AMR: []string{"pwd"}})
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

func isOver(t *testing.T, e *apptest.Env, session string) bool {
	t.Helper()
	_, err := e.Sessions.Live(context.Background(), realm.Default, session)
	return err != nil
}

// untilAdmitted repeats what a busy machine refuses.
func untilAdmitted(do func() error) error {
	for {
		if err := do(); !fault.Is(err, fault.TooMany) {
			return err
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
