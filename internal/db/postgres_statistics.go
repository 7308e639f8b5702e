package db

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgreSQL plans by what it knows of the tables, and keeps the plans of
// prepared statements until it knows more. Of a table that was empty when it
// looked, or that it never looked at, it may find any index as good as the key
// and then read a whole realm for one row. Its own look comes up to a minute
// later; in a busy minute that is too late.

// planning has PostgreSQL go by an index wherever there is one. Of a small table it
// would rather read all pages, which a serializable transaction pays for: it then
// has read the whole table, so that all who write to it at the same time are in each
// other's way (PostgreSQL, 13.2.3). What has no index is read as ever; the price that
// is put on it must not have its plans compiled. Poolers refuse parameters that they
// do not know, see Advice.
var planning = map[string]string{"enable_seqscan": "off", "jit": "off"}

// studyEvery is how often the sizes of the tables are looked at.
const studyEvery = 5 * time.Second

// outgrown lists our tables that have four times the pages that PostgreSQL
// knows of, and at least four.
const outgrown = `SELECT c.relname FROM pg_class c
	WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND pg_has_role(c.relowner, 'USAGE')
	AND pg_relation_size(c.oid) >= 4 * GREATEST(c.relpages, 1) * current_setting('block_size')::bigint`

// studyForever has PostgreSQL look at tables that have outgrown its knowledge.
func (p *postgres) studyForever(ctx context.Context) {
	tick := time.NewTicker(studyEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := p.study(ctx); err != nil && ctx.Err() == nil {
			p.db.log.Debug("looking at the sizes of tables", "err", err)
		}
	}
}

func (p *postgres) study(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, txTimeout) // a server that went silent must not hold it
	defer cancel()
	rows, err := p.pool.Query(ctx, outgrown)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		if err := p.analyze(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

// analyze takes a small sample, which tells keys from what all rows share; the
// server's own look will be closer.
func (p *postgres) analyze(ctx context.Context, table string) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL default_statistics_target = 10`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "ANALYZE "+pgx.Identifier{table}.Sanitize())
		return err
	})
}
