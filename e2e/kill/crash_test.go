package kill

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cardea-id/cardea/e2e/live"
)

// Crashes is the variable that says how often PostgreSQL is stopped at once,
// without a checkpoint; make long sets it.
const Crashes = "CARDEA_TEST_CRASHES"

// P-01, P-02, P-16: PostgreSQL ends without warning under load, as with a power
// cut, and comes back. Cardea goes on in the same process, and everything that
// it had acknowledged is there.
func TestPostgresCrashes(t *testing.T) {
	rounds, err := strconv.Atoi(os.Getenv(Crashes))
	if err != nil {
		t.Skipf("skipped: %s is not set (make long sets it)", Crashes)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	binary, err := live.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pg := newCluster(t, "")
	server, err := live.Install(ctx, live.Options{Binary: binary, Dir: t.TempDir(), Database: pg.address,
		Env: []string{"CARDEA_RATES_ADMIN_WRITE=600000/1m"}}) // one operator makes people as fast as can be
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	w, err := newWorld(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		during, stop := context.WithCancel(ctx)
		var load sync.WaitGroup
		for _, worker := range w.workers() {
			load.Go(func() { worker(during) })
		}
		<-time.After(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		pg.stop(t, "immediate")
		stop()
		load.Wait()
		if w.wrong() != nil {
			t.Fatalf("round %d, under load: %v\n%s", round, w.wrong(), server.Log(1500))
		}
		pg.start(t)
		if err := ready(ctx, server); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, server.Log(3000))
		}
		if err := w.verify(ctx); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, server.Log(3000))
		}
	}
	t.Logf("%d crashes of PostgreSQL; acknowledged and found again: %s", rounds, w.summary())
	if err := w.fruitful(); err != nil {
		t.Fatal(err)
	}
}

// ready waits until the server may say yes again, by itself.
func ready(ctx context.Context, s *live.Server) error {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second) // P-16 says 5
	defer cancel()
	for {
		resp, err := http.Get("http://" + s.Listen + "/readyz")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("not ready after the database came back: %d", resp.StatusCode)
		}
	}
}

// A cluster is a PostgreSQL server of this test's own, on a real disk.
type cluster struct {
	bin, dir, data, address string
	port                    int
	as                      *syscall.SysProcAttr
}

// newCluster starts one. Its data lie on disk, and its log beside it, if disk is
// not "".
func newCluster(t *testing.T, disk string) *cluster {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Skip("skipped: there is no PostgreSQL below /usr/lib/postgresql")
	}
	dir, err := os.MkdirTemp("", "cardea-crash")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &cluster{bin: filepath.Dir(found[0]), dir: dir, data: dir + "/data", as: &syscall.SysProcAttr{}}
	var apart []string
	if disk != "" {
		c.data, apart = disk+"/data", []string{"--waldir", dir + "/log-of-changes", "--data-checksums"}
	}
	if os.Getuid() == 0 { // initdb refuses to run as root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("skipped: run by root, and there is no user postgres")
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		c.as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		for _, own := range []string{dir, filepath.Dir(c.data)} {
			if err := os.Chown(own, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	password := fmt.Sprintf("%016x", rand.Uint64())
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte(password), 0o644); err != nil {
		t.Fatal(err)
	}
	c.run(t, "initdb", append([]string{"-D", c.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--auth-local=peer", "--auth-host=scram-sha-256", "--pwfile=" + file}, apart...)...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.port = ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	c.address = (&url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password), Host: fmt.Sprintf("127.0.0.1:%d", c.port),
		Path: "/postgres", RawQuery: "sslmode=disable"}).String()
	c.start(t)
	t.Cleanup(func() {
		if _, err := os.Stat(c.data + "/postmaster.pid"); err == nil {
			c.stop(t, "immediate")
		}
	})
	return c
}

func (c *cluster) start(t *testing.T) {
	t.Helper()
	c.run(t, "pg_ctl", "-D", c.data, "-l", c.dir+"/log", "-w", "-t", "30", "start", "-o",
		fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories='%s'", c.port, c.dir))
}

func (c *cluster) stop(t *testing.T, mode string) {
	t.Helper()
	c.run(t, "pg_ctl", "-D", c.data, "-m", mode, "-w", "stop")
}

// run runs a program of PostgreSQL. Its output goes to a file, because a server
// that it starts keeps that open.
func (c *cluster) run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := os.OpenFile(filepath.Join(t.TempDir(), name+".out"), os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = "/", out, out, c.as
	if err := cmd.Run(); err != nil {
		var said bytes.Buffer
		_, _ = out.Seek(0, 0)
		_, _ = said.ReadFrom(out)
		t.Fatalf("%s: %v\n%s", name, err, said.String())
	}
}
