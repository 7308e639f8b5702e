package job_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/job"
)

// These tell the child process of TestAKillLosesNoJob what to do.
const (
	childFile  = "CARDEA_TEST_JOB_FILE"
	childRound = "CARDEA_TEST_JOB_ROUND"
	childAdds  = "CARDEA_TEST_JOB_ADDS"
)

// P-01: a process that makes and does jobs is killed without warning, again and
// again. Each job whose making was acknowledged is done.
func TestAKillLosesNoJob(t *testing.T) {
	if os.Getenv(childFile) != "" {
		child(t)
		return
	}
	file := filepath.Join(t.TempDir(), "jobs.db")
	added, done := map[string]bool{}, map[string]int{}
	for round := range 6 {
		adds := round < 5
		for line := range lines(t, file, round, adds) {
			what, id, _ := strings.Cut(line, " ")
			switch what {
			case "added":
				added[id] = true
			case "done":
				done[id]++
			}
		}
	}
	if len(added) < 100 || len(done) < 100 {
		t.Fatalf("only %d were added and %d done", len(added), len(done))
	}
	for id := range added {
		if done[id] == 0 {
			t.Errorf("%s is lost", id)
		}
	}
	t.Logf("%d added, %d done", len(added), len(done))
}

// lines starts the child and gives what it prints. One that adds is killed after
// a while; one that does not ends by itself when nothing is left to do.
func lines(t *testing.T, file string, round int, adds bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestAKillLosesNoJob$")
		cmd.Env = append(os.Environ(), childFile+"="+file, fmt.Sprint(childRound, "=", round), fmt.Sprint(childAdds, "=", adds))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		n := 0
		for s := bufio.NewScanner(out); s.Scan(); {
			if n++; n == 120 && adds {
				_ = cmd.Process.Kill()
			}
			yield(s.Text()) // also what was printed before the end
		}
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil && !adds {
			t.Fatal(err)
		}
	}
}

// child makes jobs and does them, each process an hour later than the one before,
// so that the leases of the dead have run out.
func child(t *testing.T) {
	round, ahead := os.Getenv(childRound), time.Duration(0)
	_, _ = fmt.Sscan(round, &ahead)
	d, err := db.Open(t.Context(), db.Options{URL: os.Getenv(childFile), Now: func() time.Time { return time.Now().Add(ahead * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := audit.New(d, audit.Options{})
	if err := log.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	q := newQueue(t, d, "nod_"+round)
	q.Handle(job.Kind{Name: "tell", Do: func(_ context.Context, j *job.Job) error {
		fmt.Println("done", j.ID)
		return nil
	}})
	if os.Getenv(childAdds) != "true" {
		runDue(t, q)
		return
	}
	q.Start()
	defer q.Close()
	for i := 0; ; i++ {
		fmt.Println("added", add(t, d, q, dbtest.Realm, job.Promise{Kind: "tell", Target: fmt.Sprint(i % 5)}))
	}
}
