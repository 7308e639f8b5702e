package version

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
)

// The kinds of sources.
const (
	Git       = "git"
	Directory = "directory"
)

// The states of a source.
const (
	Waiting     = "waiting"     // it was not looked at yet
	Current     = "current"     // what is there counts
	Refused     = "refused"     // what is there has problems and changed nothing
	Unreachable = "unreachable" // it could not be read
)

// Source is where a realm's folder is followed: a branch of a Git repository, or
// a directory of the server.
type Source struct {
	Kind     string
	Location string // https address of the repository, or path of the directory
	Branch   string // "" is the default one
	Folder   string // within the repository; "" is its root
	Username string // for the repository
	Password string // only to set; "" keeps the one that is known if the location stays
	Seconds  int64  // how long between two looks; 0: 60, a directory 5

	Changed time.Time // when it was set
	Checked time.Time // when it was looked at last; zero: never
	Seen    string    // the commit, or the content, that was found then
	State   string
	Detail  string    // what was wrong, or what applying it did
	Since   time.Time // since when it is in this state
	Number  int64     // the version that was applied from it last

	sealed []byte
}

// HasPassword reports whether a password is known.
func (s *Source) HasPassword() bool { return len(s.sealed) > 0 }

var branchPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$`)

func (r *Registry) checkSource(realm string, s *Source) error {
	u, err := url.Parse(s.Location)
	switch {
	case s.Kind != Git && s.Kind != Directory:
		return invalid("kind", "is git or directory")
	case s.Seconds != 0 && (s.Seconds < 5 || s.Seconds > 86_400):
		return invalid("seconds", "is from 5 to 86400")
	case s.Kind == Directory:
		if s.Branch != "" || s.Folder != "" || s.Username != "" || s.Password != "" {
			return invalid("kind", "directory has neither branch, folder, username nor password")
		}
		_, _, err := r.within(realm, s.Location)
		return err
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(s.Location) > 1000:
		return invalid("location", "is the https address of a repository, without user and query")
	case s.Branch != "" && (!branchPattern.MatchString(s.Branch) || strings.Contains(s.Branch, "..")):
		return invalid("branch", "is the name of a branch")
	case s.Folder != "" && (strings.HasPrefix(s.Folder, "/") || strings.Contains("/"+s.Folder+"/", "/../") || len(s.Folder) > 200):
		return invalid("folder", "is the path of a folder within the repository")
	case len(s.Username) > 200 || len(s.Password) > 1000:
		return invalid("password", "is too long")
	}
	return nil
}

// within finds the allowed directory that a directory lies in, and its path there.
// A realm has the one of its name in it; only the first, whose operators look after
// all of them, has everything.
func (r *Registry) within(of, dir string) (root, rest string, err error) {
	if len(r.Directories) == 0 {
		return "", "", invalid("kind", "directory is not allowed here: the server's setting policies.directories names none")
	}
	for _, root := range r.Directories {
		if of != realm.Default {
			root = filepath.Join(root, of)
		}
		rest, err := filepath.Rel(root, dir)
		if filepath.IsAbs(dir) && err == nil && filepath.IsLocal(rest) {
			return root, rest, nil
		}
	}
	return "", "", invalid("location", "is no absolute path below a directory that the server's setting policies.directories names (realms but the first one: and there below the one of the realm's name)")
}

// SourceOf is where a realm's folder is followed, nil if it is not.
func (r *Registry) SourceOf(ctx context.Context, realm string) (s *Source, err error) {
	err = r.DB.View(ctx, realm, func(tx *db.Tx) error {
		s, err = sourceOf(tx)
		return err
	})
	return s, err
}

// Follow has a realm's folder followed, in the place of whatever it followed.
func (r *Registry) Follow(ctx context.Context, by audit.Actor, realm string, n Source) (*Source, error) {
	n.Location = strings.TrimSuffix(n.Location, "/")
	n.Folder = strings.Trim(n.Folder, "/")
	if err := r.checkSource(realm, &n); err != nil {
		return nil, err
	}
	n.Seconds = cmp.Or(n.Seconds, map[string]int64{Git: 60, Directory: 5}[n.Kind])
	err := r.DB.Update(ctx, realm, func(tx *db.Tx) error {
		old, err := sourceOf(tx)
		if err != nil {
			return err
		}
		s := Source{Kind: n.Kind, Location: n.Location, Branch: n.Branch, Folder: n.Folder, Username: n.Username, Seconds: n.Seconds,
			Changed: tx.Now, State: Waiting, Since: tx.Now}
		switch {
		case n.Password != "":
			s.sealed = r.Box.Seal([]byte(n.Password), place(tx.Realm, n.Location)...)
		case old != nil && old.Location == n.Location && old.Username == n.Username:
			s.sealed = old.sealed
		}
		if err := putSource(tx, &s); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "policy.follow", TargetType: "policy", Target: "source",
			Data: map[string]any{"kind": s.Kind, "location": s.Location, "branch": s.Branch, "folder": s.Folder, "password": s.HasPassword()}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.SourceOf(ctx, realm)
}

// place binds a sealed password to where it is for.
func place(realm, location string) []string { return []string{"policy source", realm, location} }

// Unfollow ends following. What was applied stays.
func (r *Registry) Unfollow(ctx context.Context, by audit.Actor, realm string) error {
	return r.DB.Update(ctx, realm, func(tx *db.Tx) error {
		was, err := deleteSource(tx)
		if err != nil || !was {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "policy.unfollow", TargetType: "policy", Target: "source"})
		return nil
	})
}

// The bounds of looks at sources.
const (
	maxLooks = 8
	lookTime = 3 * time.Minute
)

// Begin begins to look at the sources of all realms where it is time to, beside
// whoever calls it: what answers slowly holds up nobody but itself. live reports
// whether there is a realm.
func (r *Registry) Begin(ctx context.Context, live func(ctx context.Context, realm string) bool) error {
	var due []string
	err := r.DB.SystemView(ctx, func(tx *db.Tx) (err error) {
		due, err = dueSources(tx)
		return err
	})
	if err != nil {
		return err
	}
	for _, realm := range due {
		if !live(ctx, realm) {
			continue
		}
		select {
		case r.looks <- struct{}{}:
		default:
			return nil // it is their turn next time: they wait for longest
		}
		r.wg.Go(func() {
			defer func() { <-r.looks }()
			ctx, cancel := context.WithTimeout(r.ctx, lookTime)
			defer cancel()
			if err := r.Due(ctx, realm); err != nil && r.ctx.Err() == nil {
				r.Logger.Warn("a source of policies was not looked at", "realm", realm, "err", err)
			}
		})
	}
	return nil
}

// Due looks at a realm's source if it is time to and nobody else does.
func (r *Registry) Due(ctx context.Context, realm string) error {
	s, err := r.SourceOf(ctx, realm)
	if err != nil || s == nil || !s.due(r.DB.Now()) {
		return err
	}
	mine := false
	if err := r.DB.Update(ctx, realm, func(tx *db.Tx) error {
		mine, err = beginLook(tx, s)
		return err
	}); err != nil || !mine {
		return err
	}
	if _, err = r.look(ctx, realm, s, false); errors.Is(ctx.Err(), context.DeadlineExceeded) {
		s.State, s.Detail, s.Since = Unreachable, fmt.Sprintf("it took longer than %s", lookTime), r.DB.Now()
		return r.DB.Update(context.WithoutCancel(ctx), realm, func(tx *db.Tx) error { return note(tx, s) })
	}
	return err
}

func (s *Source) due(now time.Time) bool {
	return now.Sub(s.Checked) >= time.Duration(s.Seconds)*time.Second
}

// Look looks at a realm's source now, and again at what was refused.
func (r *Registry) Look(ctx context.Context, realm string) (*Source, error) {
	s, err := r.SourceOf(ctx, realm)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fault.New(fault.NotFound, "policy_not_followed", "the realm follows no repository or directory")
	}
	return r.look(ctx, realm, s, true)
}

// found is what was read at a source.
type found struct {
	seen     string
	files    folder.Files
	problems folder.Problems
	origin   string
}

// look reads a source and applies what is new there, if its plan is well. What
// is not changes nothing; the source says why.
func (r *Registry) look(ctx context.Context, realm string, s *Source, again bool) (*Source, error) {
	was := *s
	known := s.Seen
	if again || s.State == Unreachable {
		known = ""
	}
	got, err := r.read(ctx, realm, s, known)
	s.Checked = r.DB.Now()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	switch {
	case err != nil:
		s.State, s.Detail = Unreachable, fault.Line(err.Error())
	case got.files == nil && got.problems == nil: // as it was seen last
	default:
		s.Seen = got.seen
		if err := r.take(ctx, realm, s, got, was.Seen == got.seen); err != nil {
			return nil, err
		}
	}
	if s.State != was.State || s.Seen != was.Seen {
		s.Since = s.Checked
	}
	if !again && s.State == was.State && s.Seen == was.Seen && s.Detail == was.Detail && s.Number == was.Number {
		return s, nil // and when it was looked at was written down before
	}
	return s, r.DB.Update(ctx, realm, func(tx *db.Tx) error {
		if s.State == Refused && (was.State != Refused || was.Seen != s.Seen) {
			audit.Append(tx, audit.System, audit.Event{Action: "policy.follow.refuse", TargetType: "policy", Target: "source",
				Data: map[string]any{"location": s.Location, "seen": s.Seen, "detail": s.Detail}})
		}
		return note(tx, s)
	})
}

// take plans and applies what was found. What was seen before and applied then is
// left alone: whoever has gone back since meant it.
func (r *Registry) take(ctx context.Context, realm string, s *Source, got *found, seen bool) error {
	refuse := func(why string) {
		if len(why) > maxSaid {
			why = strings.ToValidUTF8(why[:maxSaid], "") + " …"
		}
		s.State, s.Detail = Refused, why
	}
	if len(got.problems) > 0 {
		refuse(got.problems.Error())
		return nil
	}
	if seen {
		done, err := r.takenBack(ctx, realm, s, got)
		if err != nil || done {
			return err
		}
	}
	p, err := r.Plan(ctx, realm, got.files, 0)
	switch {
	case err != nil:
		return err
	case len(p.Problems) > 0:
		refuse(p.Problems.Error())
		return nil
	case !p.Report.OK():
		refuse(failures(p.Report))
		return nil
	}
	base := p.Base
	v, err := r.Apply(ctx, audit.System, realm, Change{Files: got.files, Message: "followed", Origin: got.origin, Base: &base, source: s})
	var f *fault.Error
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.Invalid) {
		f, _ = err.(*fault.Error)
	}
	if f != nil {
		refuse(f.Detail)
		return nil
	}
	if err != nil {
		return err
	}
	s.State, s.Number = Current, v.Number
	s.Detail = v.outcome(p)
	return nil
}

// outcome says what came of a plan that was applied.
func (v *Version) outcome(p *Plan) string {
	text := fmt.Sprintf("version %d: differences: %d, decisions looked at: %d, accesses gained: %d, lost: %d", v.Number, len(p.Differences), p.Replay.Decisions, len(p.Replay.Gains), len(p.Replay.Losses))
	if p.Replay.More || p.Replay.Partial {
		text += ", and perhaps more than these"
	}
	return text
}

// takenBack reports whether what was found was applied once and another version
// counts now.
func (r *Registry) takenBack(ctx context.Context, realm string, s *Source, got *found) (done bool, err error) {
	err = r.DB.View(ctx, realm, func(tx *db.Tx) error {
		now, err := newest(tx)
		if err != nil || now == nil {
			return err
		}
		was, err := ofContent(tx, contentOf(got.files))
		if err != nil || was == nil || was.Number == now.Number {
			return err
		}
		done, s.State = true, Current
		s.Detail = fmt.Sprintf("it was applied as version %d, and version %d was applied since; roll back to %d, or change what is followed", was.Number, now.Number, was.Number)
		return nil
	})
	return done, err
}

// read reads a source, unless it is as it was known.
func (r *Registry) read(ctx context.Context, realm string, s *Source, known string) (*found, error) {
	if s.Kind == Directory {
		return r.readDirectory(realm, s, known)
	}
	return r.readRepository(ctx, realm, s, known)
}

// readDirectory reads a directory below an allowed one, out of which no link
// leads.
func (r *Registry) readDirectory(realm string, s *Source, known string) (*found, error) {
	root, rest, err := r.within(realm, s.Location)
	if err != nil {
		return nil, err
	}
	allowed, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer allowed.Close()
	dir, err := allowed.OpenRoot(rest)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	files, problems := folder.Open(dir.FS())
	f := &found{seen: contentOf(files), origin: s.Location}
	if len(problems) > 0 {
		f.seen = hashOf([]byte(f.seen + problems.Error()))
	}
	if f.seen == known {
		return f, nil
	}
	if f.files, f.problems = files, problems; len(files) == 0 && len(problems) == 0 {
		return nil, fmt.Errorf("there is no policy folder in %s", s.Location)
	}
	return f, nil
}

func invalid(field, why string) error {
	return fault.New(fault.Invalid, field+"_invalid", "%s %s", field, why).WithField(field, why)
}
