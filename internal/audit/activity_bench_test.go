package audit

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/id"
)

// perSegment is what gathers until a segment is written, at 30,000 tokens a second.
const perSegment = 3000

// issued makes what the tokens of so many clients, in turn, leave behind. What is
// remembered of a client shares memory; what a request says of itself does not.
func issued(clients int) (all []Activity) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	var by []Actor
	var grants []string
	for i := range clients {
		by = append(by, Actor{Kind: "client", ID: id.New("cli", now), IP: fmt.Sprint("192.0.2.", i), UserAgent: "Go-http-client/1.1"})
		grants = append(grants, id.New("gnt", now))
	}
	for i := range perSegment {
		c := i % clients
		a := Activity{At: now.Add(time.Duration(i/30) * time.Millisecond), Action: "token.issue", Actor: by[c], Target: grants[c],
			Data: Details{"jti", id.New("", now)[1:23], "client", by[c].ID}}
		a.Actor.UserAgent = string([]byte(a.Actor.UserAgent))
		all = append(all, a)
	}
	return all
}

// BenchmarkActivity is what a token leaves behind: noted, encoded, and both with the
// write. Each is a record's share.
func BenchmarkActivity(b *testing.B) {
	for _, clients := range []int{1, 50, perSegment} {
		all := issued(clients)
		b.Run(fmt.Sprintf("encode/clients=%d", clients), func(b *testing.B) {
			var body []byte
			for n := 0; n < b.N; n += len(all) {
				body = appendSegment(body[:0], all)
				sha256.Sum256(body)
			}
			b.ReportMetric(float64(len(body))/float64(len(all)), "B/record")
		})
		for _, write := range []bool{false, true} {
			b.Run(fmt.Sprintf("write=%v/clients=%d", write, clients), func(b *testing.B) {
				d, err := db.Open(context.Background(), db.Options{URL: dbtest.URL(b, db.SQLite)})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(d.Close)
				l := New(d, Options{})
				b.ReportAllocs()
				b.ResetTimer()
				for n := range b.N {
					a := all[n%len(all)]
					l.Activity(dbtest.Realm, a.Actor, a)
					if n%len(all) < len(all)-1 {
						continue
					}
					if !write {
						for _, s := range l.act.realms {
							s.records = s.records[:0]
						}
					} else if err := l.FlushActivity(context.Background()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
