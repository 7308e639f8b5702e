package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cardea-id/cardea/edge"
	"github.com/cardea-id/cardea/internal/access/local"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/verify"
)

// beside is what "cardea edge" is told.
type beside struct {
	listen, client, secretFile, keyFile, detail string
	stale                                       []string
	config                                      edge.Config
}

func (c *console) edgeCommand() *cobra.Command {
	var b beside
	cmd := &cobra.Command{
		Use:   "edge",
		Short: "Decide beside an application",
		Long: `Holds what a realm knows, follows its changes, and answers AuthZEN 1.0 for the
application beside it, over a Unix socket or loopback. It starts and goes on when it
is cut off, and denies what its facts are too old for.

The client must be allowed the scope cardea:edge; to check access tokens it must be a
resource server, too. See docs/guide/edge.md.`,
		Example: `  cardea edge --issuer https://id.example.com --client orders-edge --secret-file /run/secrets/edge --dir /var/lib/cardea-edge
  cardea edge --issuer https://id.example.com --client orders-edge --secret-file /run/secrets/edge \
    --listen 127.0.0.1:7480 --types document,folder --audience https://orders.example.com --stale read=allow:5m,delete=deny:5s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runEdge(cmd.Context(), &b) },
	}
	f := cmd.Flags()
	f.StringVar(&b.config.Issuer, "issuer", "", "issuer URL of the realm")
	f.StringVar(&b.client, "client", "", "id of the client that this edge is")
	f.StringVar(&b.secretFile, "secret-file", "", "file with the client's secret")
	f.StringVar(&b.listen, "listen", "unix:cardea-edge.sock", "where to answer: unix:PATH, or a loopback address with a port")
	f.StringVar(&b.keyFile, "key-file", "", "file with the key that callers must show as a bearer token (default: whoever reaches the socket may ask)")
	f.StringVar(&b.config.Dir, "dir", "", "directory to keep facts in, so that the edge starts when it is cut off (default: nothing is kept)")
	f.StringSliceVar(&b.config.Types, "types", nil, "types of the resources that are asked about (default: all)")
	f.StringVar(&b.config.Audience, "audience", "", "whom the access tokens in questions must be for (default: none are taken)")
	f.DurationVar(&b.config.MaxStaleness, "max-staleness", 30*time.Second, "how old facts may be before everything is denied")
	f.StringSliceVar(&b.stale, "stale", nil, "other rules for some actions, such as delete=deny:5s or read=allow:5m (allowed and marked when older)")
	f.BoolVar(&b.config.AskUpstream, "ask-upstream", false, "ask the server where a newer revision is needed than is here (needs the scope cardea:decide)")
	f.BoolVar(&b.config.LogDecisions, "log-decisions", false, "hand decisions in at the server, by way of --dir")
	f.Int64Var(&b.config.MaxLog, "max-log", 64<<20, "bytes of decisions that may wait in --dir; the oldest go first")
	f.StringVar(&b.detail, "detail", "reasons", "what callers are told beside yes and no: none, reasons or full")
	for _, name := range []string{"issuer", "client", "secret-file"} {
		_ = cmd.MarkFlagRequired(name) // there are such flags
	}
	return cmd
}

func (c *console) runEdge(ctx context.Context, b *beside) error {
	secret, err := fileLine(b.secretFile)
	if err != nil {
		return err
	}
	key := ""
	if b.keyFile != "" {
		if key, err = fileLine(b.keyFile); err != nil {
			return err
		}
	}
	switch b.detail {
	case "none", "reasons", "full":
	default:
		return fmt.Errorf("--detail is none of none, reasons, full: %q", b.detail)
	}
	if b.config.Actions, err = staleness(b.stale); err != nil {
		return err
	}
	ln, base, err := listenHere(b.listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	log := slog.New(slog.NewTextHandler(c.err, nil))
	b.config.Credentials = verify.ClientSecret(b.client, secret)
	b.config.OnError = func(err error) { log.Warn("edge", "err", err) }
	e, err := edge.Open(ctx, b.config)
	if err != nil {
		return err
	}
	handler, err := local.Handler(local.Options{Edge: e, Base: base, Detail: b.detail, Key: key, Now: time.Now})
	if err == nil {
		fmt.Fprintf(c.out, "cardea: edge on %s, %s\n", b.listen, begun(e.Health()))
		err = web.NewServer(handler, nil, log).Serve(ctx, ln)
	}
	return errors.Join(err, e.Close())
}

// begun says what an edge decides by when it starts.
func begun(h edge.Health) string {
	if !h.Ready {
		return "without facts: everything is denied until they have come from the server"
	}
	return "with the facts of revision " + h.Revision
}

func fileLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line := strings.TrimSpace(string(text))
	if line == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return line, nil
}

// staleness reads rules such as read=allow:5m.
func staleness(rules []string) (map[string]edge.Staleness, error) {
	all := map[string]edge.Staleness{}
	for _, rule := range rules {
		action, then, ok := strings.Cut(rule, "=")
		what, most, ok2 := strings.Cut(then, ":")
		d, err := time.ParseDuration(most)
		if !ok || !ok2 || err != nil || action == "" || what != "deny" && what != "allow" {
			return nil, fmt.Errorf("--stale %q: want ACTION=deny:TIME or ACTION=allow:TIME, such as read=allow:5m", rule)
		}
		all[action] = edge.Staleness{Max: d, Mark: what == "allow"}
	}
	return all, nil
}

// listenHere listens where only this machine reaches.
func listenHere(where string) (ln net.Listener, base string, err error) {
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		// What an edge that was killed left behind answers nobody.
		if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
			conn.Close()
			return nil, "", fmt.Errorf("another process answers at %s", path)
		}
		if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
			if err := os.Remove(path); err != nil {
				return nil, "", err
			}
		}
		ln, err = net.Listen("unix", path)
		if err != nil {
			return nil, "", err
		}
		// The group of the directory decides who may ask.
		return ln, "http://localhost", os.Chmod(path, 0o660)
	}
	host, port, err := net.SplitHostPort(where)
	ip := net.ParseIP(host)
	if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, "", fmt.Errorf("--listen %q: an edge answers on this machine only: want unix:PATH or 127.0.0.1:PORT", where)
	}
	if ln, err = net.Listen("tcp", where); err != nil {
		return nil, "", err
	}
	if port == "0" {
		where = ln.Addr().String()
	}
	return ln, "http://" + where, nil
}
