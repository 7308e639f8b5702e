package relation_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/secret"
)

// A file is sent, checked, written part by part on the server, and goes on where it
// was; each part is written once.
func TestFilesAreImportedOnTheServer(t *testing.T) {
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		box, err := secret.NewBox(make([]byte, secret.MasterKeySize))
		if err != nil {
			t.Fatal(err)
		}
		queue := job.NewQueue(e.DB, "nod_test", box, slog.New(slog.DiscardHandler))
		store := relation.NewStore(relation.Options{DB: e.DB, Log: e.Log, Jobs: queue, Box: box})
		e.Start(t)
		w := &world{e, store}
		line := func(i int) string {
			return fmt.Sprintf(`{"subject":{"type":"user","id":"%d"},"relation":"viewer","object":{"type":"doc","id":"1"}}`+"\n", i)
		}
		create := func() *relation.Import {
			t.Helper()
			i, err := store.CreateImport(ctx, audittest.By, dbtest.Realm, "facts.jsonl")
			if err != nil {
				t.Fatal(err)
			}
			return i
		}
		put := func(i *relation.Import, part int64, lines string) error {
			_, err := store.PutPart(ctx, dbtest.Realm, i.ID, part, []byte(lines))
			return err
		}
		now := func(i *relation.Import) *relation.Import {
			t.Helper()
			found, err := store.ImportByID(ctx, dbtest.Realm, i.ID)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		work := func() {
			t.Helper()
			e.Clock.Advance(time.Hour) // also what is tried again
			if err := queue.RunDue(ctx); err != nil {
				t.Fatal(err)
			}
		}

		i := create()
		for what, lines := range map[string]string{"no JSON": line(1) + "x\n", "Cardea's own": strings.Replace(line(1), `"doc"`, `"Cardea::Realm"`, 1), "nothing": "\n\n"} {
			if err := put(i, 1, lines); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := put(i, 2, line(3)+line(4)); err != nil {
			t.Fatal(err)
		}
		if _, err := store.StartImport(ctx, audittest.By, dbtest.Realm, i.ID, 2); fault.Code(err) != "parts_missing" {
			t.Errorf("a part is missing: %v", err)
		}
		for _, lines := range []string{line(0), line(1) + line(2) + line(2) + `{"entity":{"type":"doc","id":"1"},"name":"size","value":12345678901234567}`} { // the second counts
			if err := put(i, 1, lines); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(w.all(t)); got != 0 {
			t.Errorf("%d facts before it is started", got)
		}
		for range 2 { // started twice is started once
			if _, err := store.StartImport(ctx, audittest.By, dbtest.Realm, i.ID, 2); err != nil {
				t.Fatal(err)
			}
		}
		if err := put(i, 3, line(9)); fault.Code(err) != "import_started" {
			t.Errorf("a part after the start: %v", err)
		}
		work()
		if d := now(i); d.State != relation.ImportDone || d.Parts != 2 || d.DoneParts != 2 || d.Facts != 5 || d.DoneFacts != 5 || d.Ended.IsZero() {
			t.Errorf("%+v", d)
		}
		if got := fmt.Sprint(w.all(t)); strings.Count(got, "viewer") != 4 {
			t.Error(got)
		}

		// A part that does not fit stops it; what was before stays, and it goes on when
		// the reason is gone.
		i = create()
		loop := func(a, b string) string {
			return fmt.Sprintf(`{"subject":{"type":"f","id":%q},"relation":"parent","object":{"type":"f","id":%q}}`, a, b)
		}
		w.write(t, add("f:1 parent f:2"))
		for n, lines := range []string{line(10), loop("2", "1"), line(11)} {
			if err := put(i, int64(n+1), lines); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := store.StartImport(ctx, audittest.By, dbtest.Realm, i.ID, 3); err != nil {
			t.Fatal(err)
		}
		work()
		if d := now(i); d.State != relation.ImportFailed || d.DoneParts != 1 || !strings.Contains(d.LastError, "part 2") || !strings.Contains(d.LastError, "circle") {
			t.Errorf("%+v", d)
		}
		w.write(t, remove("f:1 parent f:2"))
		if _, err := store.StartImport(ctx, audittest.By, dbtest.Realm, i.ID, 3); err != nil {
			t.Fatal(err)
		}
		work()
		if d := now(i); d.State != relation.ImportDone || d.DoneFacts != 3 {
			t.Errorf("%+v", d)
		}

		// What is canceled writes nothing more.
		i = create()
		if err := put(i, 1, line(77)); err != nil {
			t.Fatal(err)
		}
		if _, err := store.StartImport(ctx, audittest.By, dbtest.Realm, i.ID, 1); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := store.CancelImport(ctx, audittest.By, dbtest.Realm, i.ID); err != nil {
				t.Fatal(err)
			}
		}
		work()
		if got := fmt.Sprint(w.all(t)); strings.Contains(got, "user:77") || strings.Contains(got, "{user 77}") || now(i).State != relation.ImportCanceled {
			t.Error(got)
		}
		if _, err := store.StartImport(ctx, audittest.By, dbtest.Realm, i.ID, 1); fault.Code(err) != "import_canceled" {
			t.Errorf("%v", err)
		}
		page, next, err := store.Imports(ctx, dbtest.Realm, "", 2)
		if err != nil || len(page) != 2 || page[0].ID != i.ID || next == "" {
			t.Errorf("%v %q %v", page, next, err)
		}
		if page, next, err = store.Imports(ctx, dbtest.Realm, next, 2); err != nil || len(page) != 1 || next != "" {
			t.Errorf("%v %q %v", page, next, err)
		}
		said := fmt.Sprint(e.Events(t, dbtest.Realm))
		for _, verb := range []string{"create", "start", "done", "fail", "cancel"} {
			if !strings.Contains(said, "access_import."+verb) {
				t.Errorf("no event says %s", verb)
			}
		}
		// Forgotten after a while, with what was not written.
		e.Clock.Advance(8 * 24 * time.Hour)
		for range 10 {
			if _, err := store.Collect(ctx, dbtest.Realm); err != nil {
				t.Fatal(err)
			}
		}
		if page, _, _ := store.Imports(ctx, dbtest.Realm, "", 10); len(page) != 0 {
			t.Errorf("%d are still known", len(page))
		}
	})
}
