package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/decide"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// Who there is, as facts for decisions. Neither side knows the other; this is
// where people, groups and organizations become entities that policies speak of.

// directoryWords are the attributes that everybody in the directory has or may
// have. Applications write others beside them.
var directoryWords = []string{"kind", "status", "owner", "expires_at", replica.Unfit}

// access makes what decisions rest on.
func (a *App) access(box *secret.Box) {
	a.Facts = relation.NewStore(relation.Options{DB: a.DB, Log: a.Log, Jobs: a.Jobs, Box: box, Reserved: replica.OfDirectory, Kinds: replica.Kinds(), Words: directoryWords, Pull: a.pull, CheckURL: a.Fetch.Check, Named: a.Fetch.Named})
	a.policies(box)
	a.Snapshots = decide.New(decide.Options{DB: a.DB, Log: a.Log, Facts: a.Facts, Policies: a.Policies.SetTx, Applied: version.Applied,
		Directory: directory(), Most: a.Settings.Access.FactsInMemory, Logger: a.slog})
	a.Snapshot = a.Snapshots.At
	a.Grants.OnDelete(func(tx *db.Tx, id string) error {
		e, ok := replica.Principal(id)
		if !ok {
			return nil
		}
		return a.Facts.ForgetTx(tx, audit.System, e)
	})
}

// mostPulled bounds what one pull reads, in bytes.
const mostPulled = 128 << 20

// pull reads what a source of facts gives. Both kinds reach what addresses that
// others chose may reach, and nothing else.
func (a *App) pull(ctx context.Context, s *relation.Source, text string, each func([]byte) error) error {
	if s.Kind == relation.Postgres {
		return db.ReadForeign(ctx, text, s.Query, db.ForeignOptions{Dial: a.Fetch.Dial, Named: a.Fetch.Named, Most: mostPulled}, each)
	}
	return a.Fetch.Lines(ctx, s.URL, secret.Text(text), mostPulled, each)
}

func directory() decide.Directory {
	return decide.Directory{
		Page: func(tx *db.Tx, after string, limit int) ([]decide.Entry, string, error) {
			page, next, err := principal.FactsPageTx(tx, after, limit)
			return entries(page), next, err
		},
		Of: func(tx *db.Tx, typ, after string, limit int) ([]decide.Entry, error) {
			kind, ok := replica.Kind(typ)
			if !ok {
				return nil, nil
			}
			page, _, err := principal.FactsPageTx(tx, max(after, kind+"_"), limit)
			if n := slices.IndexFunc(page, func(f principal.Fact) bool { return !strings.HasPrefix(f.ID, kind+"_") }); n >= 0 {
				page = page[:n]
			}
			return entries(page), err
		},
		Read: func(tx *db.Tx, ids []string) ([]decide.Entry, error) {
			found, err := principal.FactsTx(tx, ids)
			return entries(found), err
		},
		Inside: func(tx *db.Tx, ids []string, limit int) ([]graph.Tuple, error) {
			found, err := principal.InsideTx(tx, ids, limit)
			var all []graph.Tuple
			for _, x := range entries(found) {
				all = append(all, x.In...)
			}
			return all, err
		},
		Touched: touched,
		Entity:  replica.Principal,
		Owns:    replica.OfDirectory,
		Kinds:   replica.Kinds(),
		Words:   directoryWords,
		Unfit:   replica.Unfit,
		Gate:    replica.Gate,
	}
}

// touched says whom an event of the identity side is about.
func touched(r audit.Record) (changed, ended []string) {
	switch r.Action {
	case "principal.create", "principal.update", "principal.suspend", "principal.activate":
		return []string{r.Target}, nil
	case "principal.member.add", "principal.member.remove":
		if member, ok := r.Data["member"].(string); ok {
			return []string{member}, nil
		}
	case "principal.delete":
		return nil, []string{r.Target}
	}
	return nil, nil
}

func entries(facts []principal.Fact) []decide.Entry {
	var all []decide.Entry
	for _, f := range facts {
		e, ok := replica.Principal(f.ID)
		if !ok {
			continue
		}
		x := decide.Entry{Entity: e, Attributes: map[string]any{"kind": string(f.Kind), "status": string(f.State)}}
		if f.Owner != "" {
			x.Attributes["owner"] = f.Owner
		}
		var until int64
		if !f.ExpiresAt.IsZero() {
			until = f.ExpiresAt.UnixMilli()
			x.Attributes["expires_at"] = f.ExpiresAt.UTC().Format(time.RFC3339Nano)
		}
		for _, m := range f.In {
			in, ok := replica.Principal(m.Container)
			if !ok {
				continue
			}
			x.In = append(x.In, graph.Tuple{Subject: e, Relation: graph.Member, Object: in, Expires: until})
			// What somebody is in an organization is a role on it, if the policies
			// of the realm know one of that name.
			if m.Relation != graph.Member && m.Relation != graph.Parent {
				x.In = append(x.In, graph.Tuple{Subject: e, Relation: m.Relation, Object: in, Expires: until})
			}
		}
		all = append(all, x)
	}
	return all
}
