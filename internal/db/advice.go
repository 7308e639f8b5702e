package db

import "context"

// Advice lists, one sentence each, what an operator should know of how this
// database keeps what it confirms. What is plainly unsafe, Open has refused.
func (d *DB) Advice(ctx context.Context) (advice []string, err error) {
	if d.kind != Postgres {
		return nil, nil
	}
	var standbys, pages, scans string
	err = d.SystemView(ctx, func(tx *Tx) (err error) {
		if standbys, err = One(tx, Scalar[string], `SELECT current_setting('synchronous_standby_names')`); err != nil {
			return err
		}
		if pages, err = One(tx, Scalar[string], `SELECT current_setting('full_page_writes')`); err != nil {
			return err
		}
		scans, err = One(tx, Scalar[string], `SELECT current_setting('enable_seqscan')`)
		return err
	})
	if err != nil {
		return nil, err
	}
	if standbys == "" {
		advice = append(advice, "no synchronous standby: what was confirmed survives crashes of this server, but a failover to a lagging replica loses what it had not received")
	}
	if pages != "on" {
		advice = append(advice, "full_page_writes is off: a crash can tear pages, unless the file system writes them whole")
	}
	if scans != "off" {
		advice = append(advice, "the pooler in front of the database hides that small tables are to be read by their indexes, so that changes at the same time are in each other's way: ALTER ROLE … SET enable_seqscan = off; ALTER ROLE … SET jit = off")
	}
	return advice, nil
}
