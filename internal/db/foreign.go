package db

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// ForeignOptions are what another database is read with.
type ForeignOptions struct {
	// Dial gets host and port as they were written.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Named reports whether whoever runs this server named the host and port. Others
	// are reached by TLS alone, with a certificate that proves who they are.
	Named func(hostport string) bool
	Most  int64 // bytes that are read
}

// The modes of TLS, by the words of PostgreSQL.
const (
	tlsVerified = "verify-full" // which is what is meant without a word
	tlsUnproven = "require"
	tlsNone     = "disable"
)

// CheckForeign refuses an address of another database that is not plain: nothing
// in it may make the driver read files of this machine or its environment, or send
// the password to whoever is in between.
func CheckForeign(raw string, named func(hostport string) bool) error {
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
	switch mode := u.Query().Get("sslmode"); mode {
	case "", tlsVerified:
	case tlsUnproven, tlsNone:
		if port := cmp.Or(u.Port(), "5432"); named == nil || !named(net.JoinHostPort(u.Hostname(), port)) {
			return fmt.Errorf("sslmode=%s is for hosts that fetch.allow_hosts names; leave it out, and the server proves who it is", mode)
		}
	default:
		return errors.New("sslmode is verify-full, require or disable")
	}
	return nil
}

// ReadForeign runs one query in another PostgreSQL database, in a transaction that
// can only read, and gives each row as a JSON object.
func ReadForeign(ctx context.Context, raw, query string, o ForeignOptions, each func(row []byte) error) error {
	if err := CheckForeign(raw, o.Named); err != nil {
		return err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("the address of the database cannot be read")
	}
	mode := u.Query().Get("sslmode")
	u.RawQuery = "sslmode=disable" // so that the driver reads no certificates of this machine
	config, err := pgx.ParseConfig(u.String())
	if err != nil {
		return errors.New("the address of the database cannot be read")
	}
	config.Fallbacks = nil
	if mode != tlsNone {
		config.TLSConfig = &tls.Config{ServerName: config.Host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: mode == tlsUnproven}
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := o.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &bounded{c, o.Most}, nil
	}
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(r, w)
		f.SetMaxBodyLen(mostForeignRow)
		return f
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

// mostForeignRow bounds a row, and whatever else a server says at once.
const mostForeignRow = 1 << 20

// bounded is a connection that ends after so many bytes were read.
type bounded struct {
	net.Conn
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the database sends too much")
	}
	n, err := b.Conn.Read(p)
	b.left -= int64(n)
	return n, err
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
