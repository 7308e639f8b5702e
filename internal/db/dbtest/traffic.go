package dbtest

import (
	"context"
	"strings"
	"sync"
)

// Traffic is what one caller sends to the database.
type Traffic struct {
	mu    sync.Mutex
	trips [][]string
}

type trafficKey struct{}

// Watch notes what is sent under the context it returns.
func Watch(ctx context.Context) (context.Context, *Traffic) {
	t := new(Traffic)
	return context.WithValue(ctx, trafficKey{}, t), t
}

func sent(ctx context.Context, texts ...string) {
	if t, ok := ctx.Value(trafficKey{}).(*Traffic); ok {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.trips = append(t.trips, texts)
	}
}

// Trips is how often the caller waited for PostgreSQL. On SQLite it is how many
// statements it ran.
func (t *Traffic) Trips() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.trips)
}

// Commits is how many changes it waited for: of transactions, or on SQLite of
// savepoints.
func (t *Traffic) Commits() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, texts := range t.trips {
		for _, text := range texts {
			if text == "COMMIT" || text == "RELEASE call" {
				n++
			}
		}
	}
	return n
}

func (t *Traffic) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, texts := range t.trips {
		b.WriteString("\n- ")
		for i, text := range texts {
			if i > 0 {
				b.WriteString("; ")
			}
			b.WriteString(strings.Join(strings.Fields(text), " "))
		}
	}
	return b.String()
}
