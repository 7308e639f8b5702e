package dbtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cardea-id/cardea/internal/db"
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

// Whole is which steps of what was sent, as SQLite plans it, begin at all rows of a
// realm: what costs more the more there are.
func (t *Traffic) Whole(tb testing.TB, d *db.DB) (all []string) {
	tb.Helper()
	t.plan(tb, d, func(text, step string) {
		if strings.HasSuffix(step, "(realm=?)") || strings.Contains(step, "AUTOMATIC") {
			all = append(all, strings.Join(strings.Fields(text), " ")+": "+step)
		}
	})
	return all
}

// Narrow holds what fn asks of SQLite to beginning at no whole realm.
func Narrow(tb testing.TB, fn func(tx *db.Tx) error) {
	tb.Helper()
	d := Open(tb, db.SQLite).DB
	ctx, traffic := Watch(context.Background())
	if err := d.Update(ctx, Realm, fn); err != nil {
		tb.Fatal(err)
	}
	if traffic.Trips() == 0 {
		tb.Fatal("nothing was sent")
	}
	for _, step := range traffic.Whole(tb, d) {
		tb.Error(step)
	}
}

// Plan is how the database does what was sent, a step a line. PostgreSQL goes by what
// it knows of its tables.
func (t *Traffic) Plan(tb testing.TB, d *db.DB) string {
	tb.Helper()
	var b strings.Builder
	t.plan(tb, d, func(_, step string) { b.WriteString("\n- " + step) })
	return b.String()
}

func (t *Traffic) plan(tb testing.TB, d *db.DB, each func(text, step string)) {
	tb.Helper()
	t.mu.Lock()
	texts := slices.Concat(t.trips...)
	t.mu.Unlock()
	err := d.View(context.Background(), Realm, func(tx *db.Tx) error {
		for _, text := range texts {
			verb, _, _ := strings.Cut(strings.TrimSpace(text), " ")
			if !slices.Contains([]string{"SELECT", "WITH", "UPDATE", "DELETE"}, verb) {
				continue
			}
			plan, err := planOf(tx, text)
			if err != nil {
				return err
			}
			for _, step := range plan {
				each(text, step)
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// planOf is how a statement is planned for parameters whose values nobody knows.
func planOf(tx *db.Tx, text string) ([]string, error) {
	most := 0
	for strings.Contains(text, fmt.Sprintf("$%d", most+1)) {
		most++
	}
	if tx.Engine() == db.SQLite {
		return db.All(tx, func(r db.Row) (step string, err error) {
			var id, parent, unused int
			err = r.Scan(&id, &parent, &unused, &step)
			return step, err
		}, "EXPLAIN QUERY PLAN "+text, make([]any, most)...)
	}
	values := ""
	if most > 0 {
		values = "(NULL" + strings.Repeat(", NULL", most-1) + ")"
	}
	for _, statement := range []string{"SET LOCAL plan_cache_mode = force_generic_plan", "PREPARE planned AS " + text} {
		if _, err := tx.Exec(statement); err != nil {
			return nil, err
		}
	}
	plan, err := db.All(tx, db.Scalar[string], "EXPLAIN EXECUTE planned"+values)
	if err == nil {
		_, err = tx.Exec("DEALLOCATE planned")
	}
	return plan, err
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
