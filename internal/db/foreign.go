package db

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// CheckForeign refuses an address of another database that is not plain: nothing
// in it may make the driver read files of this machine or its environment.
func CheckForeign(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New("want postgres://user:password@host:5432/name")
	}
	password, has := u.User.Password()
	if u.Hostname() == "" || strings.ContainsAny(u.Host, ",/") || u.User.Username() == "" || !has || password == "" || len(u.Path) < 2 {
		return errors.New("want postgres://user:password@host:5432/name, with all of these")
	}
	for name, values := range u.Query() {
		if name != "sslmode" || len(values) != 1 {
			return fmt.Errorf("the parameter %q is not allowed; sslmode is", name)
		}
	}
	return nil
}

// ReadForeign runs one query in another PostgreSQL database, in a transaction that
// can only read, and gives each row as a JSON object. dial gets host and port as
// they were written.
func ReadForeign(ctx context.Context, raw, query string, dial func(ctx context.Context, network, address string) (net.Conn, error), each func(row []byte) error) error {
	if err := CheckForeign(raw); err != nil {
		return err
	}
	config, err := pgx.ParseConfig(raw)
	if err != nil {
		return errors.New("the address of the database cannot be read")
	}
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	config.DialFunc = dial
	config.RuntimeParams = map[string]string{"application_name": "cardea", "default_transaction_read_only": "on"}
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return said("the database cannot be reached", err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	tx, err := c.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly, IsoLevel: pgx.RepeatableRead})
	if err != nil {
		return said("the database does not answer", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	rows, err := tx.Query(ctx, "SELECT row_to_json(facts)::text FROM ("+strings.TrimRight(strings.TrimSpace(query), "; \n")+"\n) facts")
	if err != nil {
		return said("the query", err)
	}
	defer rows.Close()
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			return said("the query", err)
		}
		if err := each([]byte(row)); err != nil {
			return err
		}
	}
	return said("the query", rows.Err())
}

// said words an error of the driver without what it may quote of the address.
func said(what string, err error) error {
	if err == nil {
		return nil
	}
	var refused interface{ SQLState() string }
	if errors.As(err, &refused) {
		return fmt.Errorf("%s was refused (SQLSTATE %s)", what, refused.SQLState())
	}
	return errors.New(what + ": no connection, or it broke")
}
