// Package version keeps the policy folder of each realm in versions: who applied
// which, when and why; and it says beforehand what a change would do, by asking
// the questions of the last days again. A version never changes, and the newest
// counts: to go back is to apply an old one anew.
package version

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/git"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/cache"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/secret"
)

// Version is a policy folder as it was applied once.
type Version struct {
	Number  int64
	Hash    string // of what it decides; answers carry it
	Content string // of the files as they are
	Files   int
	Bytes   int
	Tests   int // questions that its tests ask
	Message string
	Origin  string // where the files came from: a repository and commit, a directory, another version; "" for whoever applied it
	Plan    string // the plan that was required, "" if none was
	By      audit.Actor
	Created time.Time
}

// Kept is how many versions of a realm are kept.
const Kept = 500

// Registry looks after the folders of all realms.
type Registry struct {
	Options
	sets  *cache.Cache[*compiled]
	plans chan struct{} // a plan takes all cores that this node can spare, so there is one at a time
	turns sync.Map      // by realm: a chan struct{} for the one plan of the realm that waits for its turn

	looks  chan struct{} // a place for each look at a source
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Options is what the registry stands on.
type Options struct {
	DB  *db.DB
	Log *audit.Log
	Box *secret.Box // seals the passwords of repositories
	// Facts gives the relations and attributes of a realm as they are now, as what
	// joins policies to them.
	Facts func(ctx context.Context, realm string) (func(*policy.Set) *policy.Snapshot, error)
	// Decisions gives the decisions that were made of a realm in a time, the
	// newest first, until yield returns an error. nil: none are kept.
	Decisions func(ctx context.Context, realm string, since, until time.Time, yield func(Recorded) error) error
	// Operators are those who administer a realm and may change its policies.
	Operators func(ctx context.Context, realm string) ([]Operator, error)
	// Exchange speaks HTTP with a server that others chose, for repositories.
	Exchange git.Exchange
	// Directories are those below which directories may be followed.
	Directories []string
	Logger      *slog.Logger
}

// New returns the registry. Call it before the log is started.
func New(o Options) *Registry {
	r := &Registry{Options: o, plans: make(chan struct{}, 1), looks: make(chan struct{}, maxLooks), sets: cache.New("policies", 256<<20, 64<<20, func(*compiled) int { return 4 * folder.MaxFolder })}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if r.Logger == nil {
		r.Logger = slog.Default()
	}
	o.Log.Follow("policy versions", r.follow, r.sets.DropAll)
	return r
}

// Close ends the looks at sources and waits for them.
func (r *Registry) Close() {
	r.cancel()
	r.wg.Wait()
}

func (r *Registry) follow(e audit.Record) {
	if e.Action == "realm.delete" {
		r.sets.DropRealm(e.Target)
	}
}

// Applied reports whether an event of the log changes the policies of its realm.
// Its data has the number and the hash of the version that counts from then on.
func Applied(e audit.Record) bool { return e.Action == "policy.apply" || e.Action == "policy.rollback" }

// Operator is somebody who administers a realm.
type Operator struct {
	Entity policy.Entity
	Role   string
}

// compiled is a version ready to ask.
type compiled struct {
	set    *policy.Set
	guard  *policy.Set // the built-in policies with what the folder adds; nil: it adds nothing
	why    string      // what is wrong if one of them cannot be used
	broken error       // of set: it cannot be used
	own    error       // of guard: it cannot be used
}

// SetTx is the policies of a realm as the transaction sees them, ready to ask; nil
// if there are none. They are compiled once and then held in memory. Of those that
// do not compile any more the error has [policy.CodeBroken].
func (r *Registry) SetTx(tx *db.Tx) (*policy.Set, error) {
	c, err := r.compiledTx(tx)
	if err != nil || c == nil {
		return nil, err
	}
	return c.set, c.broken
}

// GuardTx is the built-in policies with those that the realm adds about its
// administration, nil if it adds none. broken says why those cannot be used any
// more, such as an operation that there is no longer.
func (r *Registry) GuardTx(tx *db.Tx) (set *policy.Set, broken, err error) {
	c, err := r.compiledTx(tx)
	if err != nil || c == nil {
		return nil, nil, err
	}
	return c.guard, c.own, nil
}

func (r *Registry) compiledTx(tx *db.Tx) (*compiled, error) {
	v, err := newest(tx)
	if err != nil || v == nil {
		return nil, err
	}
	return r.sets.Get(tx.Realm, v.Content, func() (*compiled, error) {
		files, err := filesOf(tx, v.Number)
		if err != nil {
			return nil, err
		}
		f, problems := folder.Read(files)
		c := &compiled{set: f.Set, guard: f.Guard}
		if f.Set == nil || files.Own() && f.Guard == nil {
			c.why = fmt.Sprintf("version %d of the policies does not compile any more: %s", v.Number, bounded(problems.Error()))
		}
		if f.Set == nil {
			c.broken = fault.New(fault.Unavailable, policy.CodeBroken, "%s", c.why)
		}
		if files.Own() && f.Guard == nil {
			c.own = errors.New(c.why)
		}
		return c, nil
	})
}

// Current is the version that counts, nil if there is none.
func (r *Registry) Current(ctx context.Context, realm string) (v *Version, err error) {
	err = r.DB.View(ctx, realm, func(tx *db.Tx) error {
		v, err = newest(tx)
		return err
	})
	return v, err
}

// Broken says why the policies of a realm, or those about its administration, do
// not compile any more; "" if they do.
func (r *Registry) Broken(ctx context.Context, realm string) (why string, err error) {
	err = r.DB.View(ctx, realm, func(tx *db.Tx) error {
		c, err := r.compiledTx(tx)
		if err == nil && c != nil {
			why = c.why
		}
		return err
	})
	return why, err
}

// ByNumber reads a version with its files; 0 is the one that counts.
func (r *Registry) ByNumber(ctx context.Context, realm string, number int64) (v *Version, files folder.Files, err error) {
	err = r.DB.View(ctx, realm, func(tx *db.Tx) error {
		if number == 0 {
			v, err = newest(tx)
			if err == nil && v == nil {
				return fault.New(fault.NotFound, "policy_none", "the realm has no policy yet; everything is denied (apply a folder)")
			}
		} else {
			v, err = byNumber(tx, number)
		}
		if err != nil {
			return err
		}
		files, err = filesOf(tx, v.Number)
		return err
	})
	return v, files, err
}

// List returns up to limit versions, the newest first, and where to go on, or ""
// at the end.
func (r *Registry) List(ctx context.Context, realm, after string, limit int) ([]*Version, string, error) {
	below := int64(math.MaxInt64)
	if after != "" {
		n, err := strconv.ParseInt(after, 10, 64)
		if err != nil || n < 1 {
			return nil, "", fault.New(fault.Invalid, "page_invalid", "page is not one that was given out").WithField("page", "is not one that was given out")
		}
		below = n
	}
	return db.Page(ctx, r.DB, realm, limit, 500, func(tx *db.Tx, limit int) ([]*Version, error) { return list(tx, below, limit) },
		func(v *Version) string { return strconv.FormatInt(v.Number, 10) })
}

// Diff says in words how two versions differ; 0 is the one that counts.
func (r *Registry) Diff(ctx context.Context, realm string, from, to int64) ([]folder.Difference, error) {
	var both [2]*folder.Folder
	for i, n := range []int64{from, to} {
		_, files, err := r.ByNumber(ctx, realm, n)
		if err != nil {
			return nil, err
		}
		both[i], _ = folder.Read(files)
	}
	return folder.Diff(both[0], both[1]), nil
}

// Change is a folder to be applied.
type Change struct {
	Files   folder.Files
	Message string // why
	Origin  string
	Plan    string        // only if this is still what it would do; "": whatever it does
	Window  time.Duration // of the plan
	source  *Source       // only while this is what is followed
	Base    *int64        // only on top of this version (0: none yet); nil: whichever
}

// Apply makes a folder the one that counts. It has to have no problems and to
// pass its tests; all nodes decide by it when this returns. What is applied
// already is not applied again.
func (r *Registry) Apply(ctx context.Context, by audit.Actor, realm string, c Change) (*Version, error) {
	if err := sayable("message", c.Message); err != nil {
		return nil, err
	}
	f, problems := folder.Read(c.Files)
	if len(problems) > 0 {
		return nil, refused("policy_invalid", "the folder has problems", problems.Error(), len(problems))
	}
	report := f.Run()
	if !report.OK() {
		return nil, refused("policy_tests_failed", "tests fail", failures(report), len(report.Failures))
	}
	if c.Plan != "" {
		base, err := r.holds(ctx, realm, f, c)
		if err != nil {
			return nil, err
		}
		c.Base = &base
	}
	return r.switchTo(ctx, by, realm, "policy.apply", f, report.Questions, c)
}

// holds refuses a plan that would not come out the same now, and gives the
// version it is about.
func (r *Registry) holds(ctx context.Context, realm string, f *folder.Folder, c Change) (base int64, err error) {
	p, err := r.plan(ctx, realm, f, c.Window)
	if err != nil {
		return 0, err
	}
	if p.Hash != c.Plan {
		return 0, fault.New(fault.Conflict, "plan_changed", "the plan would come out differently now: it is %s, not %s; look at it again", short(p.Hash), short(c.Plan)).WithField("plan", "is not what would happen now")
	}
	return p.Base, nil
}

// Rollback applies an old version anew. Its tests have been run when it was
// applied first; whoever goes back has no time to mend them.
func (r *Registry) Rollback(ctx context.Context, by audit.Actor, realm string, number int64, message string) (*Version, error) {
	if err := sayable("message", message); err != nil {
		return nil, err
	}
	old, files, err := r.ByNumber(ctx, realm, number)
	if err != nil {
		return nil, err
	}
	f, problems := folder.Read(files)
	if len(problems) > 0 {
		return nil, refused("policy_invalid", fmt.Sprintf("version %d has problems", number), problems.Error(), len(problems))
	}
	return r.switchTo(ctx, by, realm, "policy.rollback", f, old.Tests, Change{Files: files, Message: message, Origin: fmt.Sprintf("version %d", number)})
}

func (r *Registry) switchTo(ctx context.Context, by audit.Actor, realm, action string, f *folder.Folder, tests int, c Change) (v *Version, err error) {
	content := contentOf(f.Files)
	err = r.DB.Update(ctx, realm, func(tx *db.Tx) error {
		now, err := newest(tx)
		if err != nil {
			return err
		}
		if c.source != nil {
			s, err := sourceOf(tx)
			if err != nil {
				return err
			}
			if s == nil || !s.Changed.Equal(c.source.Changed) {
				return fault.New(fault.Conflict, "policy_source_changed", "another place is followed meanwhile")
			}
		}
		number, before := int64(0), ""
		if now != nil {
			number, before = now.Number, now.Hash
		}
		if c.Base != nil && *c.Base != number {
			return fault.New(fault.Conflict, "policy_changed", "version %d was applied since; look at what it changed and plan again", number)
		}
		if now != nil && now.Content == content {
			audit.Barrier(tx)
			v = now
			return nil
		}
		v = &Version{Number: number + 1, Hash: f.Hash, Content: content, Files: len(f.Files), Bytes: f.Files.Size(), Tests: tests,
			Message: c.Message, Origin: c.Origin, Plan: c.Plan, By: by, Created: tx.Now}
		if err := insert(tx, v); err != nil {
			return err
		}
		for _, file := range f.Files {
			if err := insertFile(tx, v.Number, file.Path, hashOf(file.Text), string(file.Text)); err != nil {
				return err
			}
		}
		if err := prune(tx, v.Number-Kept+1); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: action, TargetType: "policy", Target: strconv.FormatInt(v.Number, 10), Invalidates: true,
			Data: map[string]any{"version": v.Number, "hash": v.Hash, "before": before, "content": v.Content, "files": v.Files, "message": v.Message, "origin": v.Origin, "plan": v.Plan}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return v, nil
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// contentOf names files as they are, layout and comments included.
func contentOf(files folder.Files) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d:%s%d:", len(f.Path), f.Path, len(f.Text))
		h.Write(f.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// maxSaid bounds how much of problems goes into an answer.
const maxSaid = 4_000

func refused(code, what, list string, n int) error {
	return fault.New(fault.Invalid, code, "%s (%d):\n%s", what, n, bounded(list))
}

func bounded(list string) string {
	if len(list) > maxSaid {
		return strings.ToValidUTF8(list[:maxSaid], "") + " …"
	}
	return list
}

func failures(r *folder.Report) string {
	var b strings.Builder
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "%s:%d: %s: %s: %s\n", f.File, f.Line, f.Test, f.Question, f.Message)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// sayable refuses text that no line of a log should hold.
func sayable(field, s string) error {
	if len(s) > 1000 || !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }) {
		return fault.New(fault.Invalid, field+"_invalid", "%s has at most 1,000 printable characters", field).WithField(field, "has at most 1,000 printable characters")
	}
	return nil
}

func short(hash string) string { return hash[:min(12, len(hash))] }

func unknown(number int64) error {
	return fault.New(fault.NotFound, "policy_unknown", "there is no version %d (the last %d are kept)", number, Kept)
}

// workers is how many cores a plan takes.
func workers() int { return max(1, runtime.GOMAXPROCS(0)-1) }

var errEnough = errors.New("enough")
