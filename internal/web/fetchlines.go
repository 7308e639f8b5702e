package web

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/internal/secret"
)

// streamTime bounds how long Lines reads.
const streamTime = 25 * time.Second

// Lines fetches a text as Get does, but for its size and time: it gives each line,
// of at most 1 MiB, until most bytes are read. bearer is for the Authorization
// header, or "".
func (f *Fetcher) Lines(ctx context.Context, raw string, bearer secret.Text, most int64, each func(line []byte) error) error {
	u, err := f.parse(raw)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	if f.agent != "" {
		req.Header.Set("User-Agent", f.agent)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+string(bearer))
	}
	long := f.poster
	long.Timeout = streamTime
	res, err := long.Do(req)
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch: %s answered %d", u.Host, res.StatusCode)
	}
	scan := bufio.NewScanner(res.Body)
	scan.Buffer(make([]byte, 0, 64<<10), 1<<20)
	for scan.Scan() {
		if most -= int64(len(scan.Bytes())) + 1; most < 0 {
			return fmt.Errorf("fetch: %s sends too much", u.Host)
		}
		if err := each(scan.Bytes()); err != nil {
			return err
		}
	}
	if err := scan.Err(); err != nil {
		return fmt.Errorf("fetch: %s broke off: %w", u.Host, err)
	}
	return nil
}

// Dial connects like Get does: to hosts that are public or allowed, and to the very
// address that was checked.
func (f *Fetcher) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return f.dial(ctx, network, address)
}

// Named reports whether whoever runs this server allowed a host and port by name.
func (f *Fetcher) Named(hostport string) bool { return f.allowed(hostport) }
