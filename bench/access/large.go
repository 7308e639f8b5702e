package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/decide"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"

	"github.com/jackc/pgx/v5"
)

// large are databases of growing size, each with one realm that has more facts than
// are held in memory. What was seeded once can be measured again: a database has its
// name only when all of its facts are in it.
type large struct {
	engine string
	limit  float64 // microseconds, of p99
	folder string  // of SQLite
	server string  // PostgreSQL, "" for SQLite
	bulk   bool    // seeded as rows, without the checks and the events of batches
}

// bySQL measures checks in databases of ten thousand relations up to most, in turns,
// so that whatever else the machine does falls on all of them. Of each the quietest
// round counts. Each round asks about others.
func (l large) bySQL(ctx context.Context, most, rounds int) error {
	var sizes []*sized
	defer func() {
		for _, s := range sizes {
			s.close()
		}
	}()
	for n := 10_000; ; n = min(10*n, most) {
		n = min(n, most)
		s, err := l.open(ctx, n, rounds)
		if err != nil {
			return fmt.Errorf("%d relations on %s: %w", n, l.engine, err)
		}
		sizes = append(sizes, s)
		if n == most {
			break
		}
	}
	for range rounds {
		for _, s := range sizes {
			if err := s.ask(ctx); err != nil {
				return fmt.Errorf("%d relations on %s: %w", s.n, l.engine, err)
			}
		}
	}
	var missed error
	for _, s := range sizes {
		written, met := "before", "yes"
		if s.wrote > 0 {
			written = fmt.Sprintf("%.0f s", s.wrote.Seconds())
		}
		if s.yes < rounds*asked/2 {
			missed = errors.Join(missed, fmt.Errorf("only %d questions are answered with yes by SQL on %s", s.yes, l.engine))
		}
		if s.p99 > l.limit {
			met = "**no**"
			missed = errors.Join(missed, fmt.Errorf("p99 of a check by SQL on %s at %d relations", l.engine, s.n))
		}
		fmt.Printf("| %s | %d | %d MiB | %s | %s | %s | %d | %s | %s |\n", l.engine, s.n, s.size>>20, written, micros(s.mean), micros(s.p99), s.yes, micros(l.limit), met)
	}
	return missed
}

// asked is how many questions a round asks, after a quarter as many that warm up.
const asked = 4000

// sized is a database with n relations.
type sized struct {
	*place
	n, yes    int
	size      int64 // bytes of the whole database, its event log included
	wrote     time.Duration
	snaps     *decide.Snapshots
	questions []policy.Question
	mean, p99 float64 // of the quietest round
}

func (s *sized) ask(ctx context.Context) error {
	now := s.questions[:asked+asked/4]
	s.questions = s.questions[len(now):]
	each := make([]time.Duration, 0, asked)
	var sum time.Duration
	for i := range now {
		q := &now[i]
		q.At = s.DB.Now()
		t := time.Now()
		snap, _, err := s.snaps.For(ctx, realm, audit.Position{}, q)
		if err != nil {
			return err
		}
		allowed := policy.Decide(snap, q).Allowed
		if took := time.Since(t); i >= asked/4 {
			each, sum = append(each, took), sum+took
			if allowed {
				s.yes++
			}
		}
	}
	slices.Sort(each)
	if mean := float64(sum.Nanoseconds()) / asked / 1000; s.mean == 0 || mean < s.mean {
		s.mean, s.p99 = mean, float64(each[asked*99/100].Nanoseconds())/1000
	}
	return nil
}

// open opens the database of n relations, which it makes where there is none.
func (l large) open(ctx context.Context, n, rounds int) (*sized, error) {
	set, err := policy.Compile(ofRoles())
	if err != nil {
		return nil, err
	}
	s := &sized{n: n, questions: questions(n, rounds*(asked+asked/4))}
	there, err := l.there(ctx, n)
	if err != nil {
		return nil, err
	}
	if !there {
		begun := time.Now()
		if err := l.seed(ctx, n); err != nil {
			return nil, err
		}
		s.wrote = time.Since(begun)
	}
	if err := l.warm(ctx, n); err != nil {
		return nil, err
	}
	if s.place, err = opened(ctx, l.address(n, "")); err != nil {
		return nil, err
	}
	facts := relation.NewStore(relation.Options{DB: s.DB, Log: s.log})
	s.snaps = decide.New(decide.Options{DB: s.DB, Log: s.log, Facts: facts, Most: 1, Policies: func(*db.Tx) (*policy.Set, error) { return set, nil }})
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	if s.size, err = l.size(ctx, n); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// warm reads a database once, so that the operating system holds it: what is measured
// is not the disk.
func (l large) warm(ctx context.Context, n int) error {
	if l.server == "" {
		f, err := os.Open(l.address(n, ""))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(io.Discard, f)
		return err
	}
	c, err := pgx.Connect(ctx, l.address(n, ""))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_prewarm`); err != nil {
		return err
	}
	_, err = c.Exec(ctx, `SELECT pg_prewarm(oid::regclass, 'read') FROM pg_class WHERE relname LIKE 'access\_%' AND relkind IN ('r', 'i')`)
	return err
}

// seed makes the database of n relations.
func (l large) seed(ctx context.Context, n int) error {
	if err := l.clear(ctx, n); err != nil {
		return err
	}
	p, err := opened(ctx, l.address(n, unfinished))
	if err != nil {
		return err
	}
	write := inBatches
	if l.bulk {
		write = inBulk
	}
	if err := p.start(ctx); err != nil {
		return err
	}
	err = write(ctx, p, n)
	p.close()
	if err != nil {
		return err
	}
	return l.finish(ctx, n)
}

// inBatches writes as applications do.
func inBatches(ctx context.Context, p *place, n int) error {
	facts := relation.NewStore(relation.Options{DB: p.DB, Log: p.log})
	return some(n, relation.MaxOps, func(all []graph.Tuple) error {
		_, err := facts.Write(ctx, audit.System, realm, relation.Batch{Change: graph.Change{Add: all}})
		return err
	})
}

// inBulk writes the same rows in the same order, past the checks and the event log.
func inBulk(ctx context.Context, p *place, n int) error {
	const atOnce, columns = 1000, 5
	var values strings.Builder
	for i := range atOnce {
		k := i * columns
		fmt.Fprintf(&values, "($1, $%d, $%d, $%d, $%d, $%d, 0, 1, ''), ", k+2, k+3, k+4, k+5, k+6)
	}
	text := `INSERT INTO access_relations (realm, subject_type, subject_id, relation, object_type, object_id, expires_at, version, source) VALUES `
	full := text + strings.TrimSuffix(values.String(), ", ")
	size := 5 * atOnce // within the time that PostgreSQL gives a transaction
	if p.Engine() == db.SQLite {
		size = 300 * atOnce
	}
	return some(n, size, func(all []graph.Tuple) error {
		return p.Update(ctx, realm, func(tx *db.Tx) error {
			if tx.Engine() == db.SQLite { // of many rows each page is written once
				if _, err := tx.Exec(`PRAGMA cache_size = -2000000`); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(`INSERT INTO access_facts (realm, version) VALUES ($1, 1) ON CONFLICT (realm) DO NOTHING`, tx.Realm); err != nil {
				return err
			}
			for part := range slices.Chunk(all, atOnce) {
				args := []any{tx.Realm}
				for _, t := range part {
					args = append(args, t.Subject.Type, []byte(t.Subject.ID), t.Relation, t.Object.Type, []byte(t.Object.ID))
				}
				statement := full
				if len(part) < atOnce {
					statement = full[:strings.Index(full, fmt.Sprintf(", ($1, $%d,", len(args)+1))]
				}
				if _, err := tx.Exec(statement+` ON CONFLICT DO NOTHING`, args...); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// some passes on n relations, size at a time.
func some(n, size int, write func([]graph.Tuple) error) error {
	var all []graph.Tuple
	err := relations(n, func(t graph.Tuple) error {
		if all = append(all, t); len(all) < size {
			return nil
		}
		err := write(all)
		all = all[:0]
		return err
	})
	if err == nil && len(all) > 0 {
		err = write(all)
	}
	return err
}

// unfinished is what the name of a database ends in that is not seeded yet.
const unfinished = "_unfinished"

func (l large) name(n int, end string) string {
	if l.server == "" {
		return filepath.Join(l.folder, fmt.Sprintf("bench_access_%d%s", n, end)) // a folder, for SQLite's log lies beside
	}
	return fmt.Sprintf("bench_access_%d%s", n, end)
}

func (l large) address(n int, end string) string {
	if l.server == "" {
		return filepath.Join(l.name(n, end), "bench.db")
	}
	u, _ := url.Parse(l.server) // onServer has parsed it
	u.Path = "/" + l.name(n, end)
	return u.String()
}

func (l large) there(ctx context.Context, n int) (there bool, err error) {
	if l.server == "" {
		_, err := os.Stat(l.name(n, ""))
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	err = l.onServer(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", l.name(n, "")).Scan(&there)
	})
	return there, err
}

// clear makes room for what is to be seeded.
func (l large) clear(ctx context.Context, n int) error {
	if l.server != "" {
		return l.onServer(ctx, func(c *pgx.Conn) error {
			name := pgx.Identifier{l.name(n, unfinished)}.Sanitize()
			if _, err := c.Exec(ctx, "DROP DATABASE IF EXISTS "+name); err != nil {
				return err
			}
			_, err := c.Exec(ctx, "CREATE DATABASE "+name)
			return err
		})
	}
	name := l.name(n, unfinished)
	return errors.Join(os.RemoveAll(name), os.MkdirAll(name, 0o700))
}

// finish gives what was seeded its name.
func (l large) finish(ctx context.Context, n int) error {
	if l.server == "" {
		return os.Rename(l.name(n, unfinished), l.name(n, ""))
	}
	return l.onServer(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "ALTER DATABASE "+pgx.Identifier{l.name(n, unfinished)}.Sanitize()+" RENAME TO "+pgx.Identifier{l.name(n, "")}.Sanitize())
		return err
	})
}

func (l large) size(ctx context.Context, n int) (size int64, err error) {
	if l.server == "" {
		i, err := os.Stat(l.address(n, ""))
		if err != nil {
			return 0, err
		}
		return i.Size(), nil
	}
	err = l.onServer(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT pg_database_size($1)", l.name(n, "")).Scan(&size)
	})
	return size, err
}

func (l large) onServer(ctx context.Context, do func(*pgx.Conn) error) error {
	c, err := pgx.Connect(ctx, l.server)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return do(c)
}
