package kill

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to look at the file when the server has ended

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/client"
	"github.com/cardea-id/cardea/e2e/live"
	"github.com/cardea-id/cardea/internal/db/dbtest"
)

// P-17: the disk of a SQLite node is full. What changes something is refused with
// 503, reading and verifying go on, and when there is space again everything
// works by itself; nothing is corrupt and nothing acknowledged is lost. Take
// SQLITE_FULL out of away in package db to see it fail.
func TestDiskFull(t *testing.T) {
	disk := dbtest.SmallDisk(t, 24)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	if err := os.Symlink(disk, filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	server := fillAndFree(ctx, t, disk, live.Options{Dir: dir})
	server.Stop()
	intact(t, filepath.Join(disk, "cardea.db"))
}

// The same for the disk with the data of PostgreSQL, whose log of changes lies on
// another one, as it should. Take "53" out of away in package db to see it fail.
func TestPostgresDiskFull(t *testing.T) {
	disk := dbtest.SmallDisk(t, 64)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	pg := newCluster(t, disk)
	server := fillAndFree(ctx, t, disk, live.Options{Dir: t.TempDir(), Database: pg.address, Env: []string{"CARDEA_RATES_ADMIN_WRITE=600000/1m"}})
	server.Stop()
	pg.stop(t, "fast")
	pg.run(t, "pg_checksums", "--check", "-D", pg.data)
}

// fillAndFree fills a disk on which a server has its data, three times, and looks
// at what the server makes of it.
func fillAndFree(ctx context.Context, t *testing.T, disk string, o live.Options) *live.Server {
	t.Helper()
	binary, err := live.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o.Binary = binary
	server, err := live.Install(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	w, err := newWorld(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	code, err := w.code(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tokens, _, err := w.redeem(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for round := range 3 {
		ballast := filepath.Join(disk, "ballast")
		dbtest.FillDisk(t, ballast)
		made = append(made, untilFull(ctx, t, w, round)...)
		refused := 0
		for i := range 20 {
			u, err := w.server.Admin.Users.Create(ctx, api.UserCreate{Username: fmt.Sprintf("nobody-%d-%d", round, i)})
			var p *client.Problem
			switch {
			case err == nil:
				made = append(made, u.ID)
			case errors.As(err, &p) && p.Status == http.StatusServiceUnavailable:
				refused++
			default:
				t.Fatalf("round %d: a change on a full disk: %v\n%s", round, err, server.Log(3000))
			}
		}
		if refused < 20 && o.Database == "" || refused < 10 {
			// PostgreSQL finds room for one row here and there.
			t.Fatalf("round %d: on a full disk %d of 20 changes were refused", round, refused)
		}
		for _, path := range []string{"/readyz", "/oauth2/jwks", "/.well-known/openid-configuration"} {
			get(ctx, t, w.server.Issuer+path, "")
		}
		get(ctx, t, w.server.Issuer+"/oauth2/userinfo", tokens.Access)
		for _, id := range made {
			if _, err := w.server.Admin.Users.Get(ctx, id); err != nil {
				t.Fatalf("round %d: reading on a full disk: %v", round, err)
			}
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		made = append(made, afterwards(ctx, t, w, round))
		if err := w.verify(ctx); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, server.Log(3000))
		}
	}
	for _, id := range made {
		if _, err := w.server.Admin.Users.Get(ctx, id); err != nil {
			t.Errorf("acknowledged and gone: %v", err)
		}
	}
	return server
}

// untilFull makes people until no more fit: the files have some room inside.
func untilFull(ctx context.Context, t *testing.T, w *world, round int) (made []string) {
	t.Helper()
	inARow := 0
	for i := range 20_000 {
		u, err := w.server.Admin.Users.Create(ctx, api.UserCreate{Username: fmt.Sprintf("full-%d-%d", round, i)})
		if err == nil {
			made, inARow = append(made, u.ID), 0
			continue
		}
		var p *client.Problem
		if !errors.As(err, &p) || p.Status != http.StatusServiceUnavailable && p.Status != http.StatusTooManyRequests {
			t.Fatalf("round %d: the first change without space: %v\n%s", round, err, w.server.Log(3000))
		}
		if p.Status == http.StatusServiceUnavailable {
			if inARow++; inARow == 10 {
				return made
			}
			continue
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatal("the disk does not get full")
	return nil
}

// afterwards makes somebody within the five seconds in which all must be well.
func afterwards(ctx context.Context, t *testing.T, w *world, round int) string {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		u, err := w.server.Admin.Users.Create(ctx, api.UserCreate{Username: fmt.Sprintf("after-%d", round)})
		if err == nil {
			return u.ID
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is space, and still: %v\n%s", err, w.server.Log(3000))
		}
		<-time.After(20 * time.Millisecond)
	}
}

func get(ctx context.Context, t *testing.T, address, token string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s on a full disk: %d %.300s", address, resp.StatusCode, text)
	}
}

// intact has SQLite check the whole file.
func intact(t *testing.T, path string) {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var said string
	if err := d.QueryRow(`PRAGMA integrity_check`).Scan(&said); err != nil || said != "ok" {
		t.Errorf("integrity_check: %s, %v", said, err)
	}
}
