package token

import (
	"context"
	"testing"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
)

func bench(b *testing.B, fn func(b *testing.B, n *node)) {
	n := start(b, audittest.New(b, dbtest.Open(b, db.SQLite)))
	b.ReportAllocs()
	fn(b, n)
}

func BenchmarkIssueJWT(b *testing.B) {
	bench(b, func(b *testing.B, n *node) { issueForever(b, n, n.mustClient(b, dbtest.Realm)) })
}

func BenchmarkIssueOpaque(b *testing.B) {
	bench(b, func(b *testing.B, n *node) { issueForever(b, n, n.mustClient(b, dbtest.Realm, opaque)) })
}

// issueForever is what client_credentials costs below the door.
func issueForever(b *testing.B, n *node, c *client.Client) {
	ctx := context.Background()
	all, err := n.Credentials.List(ctx, c.Realm, c.Principal)
	must(b, err)
	for b.Loop() {
		g, err := n.grants.StandingFor(ctx, by, c, all[0].ID)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := n.Issue(ctx, by, ask(g)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignOnly is the least that a JWT can cost.
func BenchmarkSignOnly(b *testing.B) {
	bench(b, func(b *testing.B, n *node) {
		i := n.mustIssue(b, ask(n.mustStanding(b, n.mustClient(b, dbtest.Realm))))
		says := n.mustKnow(b, dbtest.Realm, i.Access, true)
		key, err := n.Ring.Signer(context.Background(), dbtest.Realm, "ES256")
		must(b, err)
		payload := appendClaims(nil, "https://id.example.com/realms/test", says)
		for b.Loop() {
			if _, err := jose.Sign(key, TypeAccess, payload); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRecogniseJWT(b *testing.B) {
	bench(b, func(b *testing.B, n *node) { recogniseForever(b, n, n.mustClient(b, dbtest.Realm)) })
}

func BenchmarkRecogniseOpaque(b *testing.B) {
	bench(b, func(b *testing.B, n *node) { recogniseForever(b, n, n.mustClient(b, dbtest.Realm, opaque)) })
}

func recogniseForever(b *testing.B, n *node, c *client.Client) {
	i := n.mustIssue(b, ask(n.mustStanding(b, c)))
	for b.Loop() {
		if _, err := n.Recognise(context.Background(), dbtest.Realm, i.Access); err != nil {
			b.Fatal(err)
		}
	}
}
