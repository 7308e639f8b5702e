package kill

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/e2e/live"
)

func position(revision string) (epoch, seq int64) {
	_, _ = fmt.Sscanf(revision, "%d.%d", &epoch, &seq)
	return epoch, seq
}

// Server and edge are killed at random moments under change. The revision of the
// edge never goes back, the chain holds or is begun anew, and what the server
// acknowledged the edge decides by, soon after both are back.
func TestKillEdge(t *testing.T) {
	binary, err := live.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	server, err := live.Install(ctx, live.Options{Binary: binary, Dir: t.TempDir(), Env: []string{"CARDEA_RATES_ADMIN_WRITE=600000/1m"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	secret, err := server.NewEdgeClient(ctx, "edge")
	if err != nil {
		t.Fatal(err)
	}
	_, err = server.Admin.Policies.Apply(ctx, api.PolicyApply{Message: "test", Files: []api.PolicyFile{
		{Path: "schema.cedarschema", Text: "entity user;\nentity payment { status?: String };\naction refund appliesTo { principal: user, resource: payment };\n"},
		{Path: "policies/all.cedar", Text: "@id(\"active\") permit (principal, action == Action::\"refund\", resource) when { resource has status && resource.status == \"active\" };\n"}}})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "edge") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := server.NewEdge(dir, "edge", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { s.Kill() }()

	const question = `{"subject":{"type":"user","id":"ann"},"action":{"name":"refund"},"resource":{"type":"payment","id":"p1"}}`
	now, revision := "", ""
	write := func(i int) error {
		status := []string{"active", "canceled"}[i%2]
		done, err := server.Admin.Facts.Write(ctx, "", api.AccessChanges{Set: []api.Attribute{{Entity: api.Entity{Type: "payment", ID: "p1"}, Name: "status", Value: json.RawMessage(`"` + status + `"`)}},
			Add: []api.Relation{{Subject: api.Entity{Type: "user", ID: fmt.Sprint("u", i)}, Relation: "member", Object: api.Entity{Type: "team", ID: "t"}}}})
		if err == nil {
			now, revision = status, done.Revision
		}
		return err
	}
	n := 0
	lastEpoch, lastSeq := int64(0), int64(0)
	for round := range kills(t) {
		victim := round % 3 // the server, the edge, both
		stop := time.After(time.Duration(10+rand.IntN(120)) * time.Millisecond)
	load:
		for {
			select {
			case <-stop:
				break load
			default:
				if n++; write(n) != nil {
					t.Fatalf("round %d: writing: %s", round, server.Log(2000))
				}
			}
		}
		if victim != 1 {
			server.Kill()
		}
		if victim != 0 {
			s.Kill()
			if err := s.Start(); err != nil { // it starts although the server may be away
				t.Fatal(err)
			}
		}
		h, err := s.Health(ctx)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if epoch, seq := position(h.Revision); epoch < lastEpoch || epoch == lastEpoch && seq < lastSeq {
			t.Fatalf("round %d: the edge went back from %d.%d to %s", round, lastEpoch, lastSeq, h.Revision)
		}
		if victim != 1 {
			if err := server.Start(ctx); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		n++
		if err := write(n); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, server.Log(2000))
		}
		// The edge hears of it as soon as it has joined again.
		deadline := time.Now().Add(30 * time.Second)
		for {
			answer, err := s.Ask(ctx, question, revision)
			if err == nil && answer.Decision == (now == "active") && answer.Context.Error.Message == "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("round %d: written at %s as %s: %+v %v\n%s", round, revision, now, answer, err, s.Log())
			}
		}
		if h, err = s.Health(ctx); err != nil {
			t.Fatal(err)
		}
		lastEpoch, lastSeq = position(h.Revision)
	}
	t.Logf("%d kills, %d writes, the edge is at %d.%d", kills(t), n, lastEpoch, lastSeq)
}
