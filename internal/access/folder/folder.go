// Package folder is policy as code: a folder with a schema, roles, policies and
// their tests, as people keep it in a repository. It reads and judges one,
// reports every problem with its place and what to do, runs its tests on the
// function that decides, lays it out, says how two differ, and names it by a
// hash. It is pure: it is given files and gives values.
package folder

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// The files of a folder. What stands beside them in text files for people, and
// whatever is hidden, is not part of it.
const (
	SchemaFile = "schema.cedarschema"
	RolesFile  = "roles.yaml"

	schemaSuffix = ".cedarschema"
)

// The bounds of a folder.
const (
	MaxFiles  = 1_000
	MaxFile   = 256 << 10 // bytes
	MaxFolder = 512 << 10 // bytes of all files

	maxProblems = 100
	maxWalk     = 10_000 // entries that are looked at to find the files
)

// File is a file of a folder.
type File struct {
	Path string // with slashes, from the folder
	Text []byte
}

// Files are the files of a folder, by path.
type Files []File

// Folder is a folder that was read and can be used, if there are no problems.
type Folder struct {
	Files  Files
	Source policy.Source
	Set    *policy.Set
	Tests  []Test
	// Own are the policies about Cardea's own administration, and Guard is the
	// built-in ones with them, nil where there are none.
	Own   []policy.File
	Guard *policy.Set
	// Hash names what the folder decides: schema, roles and policies without
	// their layout and comments. Answers carry it.
	Hash string
}

var segment = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)

// part says which part of a folder a path is: schema, roles, policy, own, test or
// rego; "" is none, and aside is what stands beside.
func part(p string) string {
	base, ext := path.Base(p), path.Ext(p)
	switch first, _, nested := strings.Cut(p, "/"); {
	case p == SchemaFile:
		return "schema"
	case p == RolesFile:
		return "roles"
	case nested && first == "policies" && ext == ".cedar":
		return "policy"
	case nested && first == "cardea" && ext == ".cedar":
		return "own"
	case nested && first == "tests" && (ext == ".yaml" || ext == ".yml"):
		return "test"
	case nested && first == "rego" && ext == ".rego":
		return "rego"
	case strings.HasPrefix(base, ".") || ext == ".md" || ext == ".txt" || base == "LICENSE" || base == "CODEOWNERS" || base == "Makefile":
		return "aside"
	}
	return ""
}

// Open reads the files of a folder. It opens nothing but plain files, so that a
// link cannot lead out of it.
func Open(fsys fs.FS) (Files, Problems) {
	var in Gatherer
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p == ".":
			return nil
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir():
			return in.Pass()
		}
		return in.Add(p, d.Type().IsRegular(), func() ([]byte, error) { return readFile(fsys, p) })
	})
	if err != nil {
		in.problems = append(in.problems, Problem{File: ".", Message: err.Error()})
	}
	return in.Done()
}

// Gatherer takes the files of a folder from wherever they are, within bounds.
type Gatherer struct {
	files       Files
	problems    Problems
	strange     Problems // of files that have no place in a policy folder
	total, seen int
	full        bool
}

// Pass counts what is looked at and not taken, such as a folder: a few trees that
// hold each other many times are a walk without end.
func (g *Gatherer) Pass() error {
	if g.seen++; g.seen > maxWalk {
		return fmt.Errorf("there are more than %d files and folders (name the policy folder itself)", maxWalk)
	}
	return nil
}

// Add takes a file, unless it is one that only stands beside: those are not read.
// An error says that there is no use in going on.
func (g *Gatherer) Add(p string, plain bool, read func() ([]byte, error)) error {
	if err := g.Pass(); err != nil {
		return err
	}
	if part(p) == "aside" || g.full {
		return nil
	}
	if problem := acceptable(p); problem != nil {
		g.strange = append(g.strange, *problem)
		return nil
	}
	if !plain {
		g.problems = append(g.problems, Problem{File: p, Message: "this is not a plain file", Advice: "put the file itself here instead of a link"})
		return nil
	}
	text, err := read()
	if err != nil {
		return err
	}
	g.total += len(text)
	g.files = append(g.files, File{p, text})
	if len(g.files) > MaxFiles || g.total > MaxFolder {
		g.problems, g.full = append(g.problems, tooLarge()), true
	}
	return nil
}

// Done gives what was taken. Where there is no schema, files that have no place in a
// policy folder only say that this is none.
func (g *Gatherer) Done() (Files, Problems) {
	files, problems := g.files.sorted(), append(g.problems, g.strange...)
	if _, ok := files.ByPath(SchemaFile); !ok && len(g.strange) > 0 {
		problems = append(g.problems, Problem{File: ".", Message: "this is no policy folder: it has no " + SchemaFile, Advice: "name the folder in which " + SchemaFile + " lies"})
	}
	return files, problems.sorted()
}

func tooLarge() Problem {
	return Problem{File: ".", Message: fmt.Sprintf("a folder has at most %d files and %d KiB", MaxFiles, MaxFolder>>10), Advice: "take out what is not needed"}
}

func readFile(fsys fs.FS, p string) ([]byte, error) {
	f, err := fsys.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxFile+1))
}

// acceptable says what is wrong with a path.
func acceptable(p string) *Problem {
	if len(p) > 200 || strings.Count(p, "/") > 5 {
		return &Problem{File: quoted(p), Message: "the path is too long", Advice: "use at most 200 characters and 5 folders"}
	}
	for s := range strings.SplitSeq(p, "/") {
		if !segment.MatchString(s) {
			return &Problem{File: quoted(p), Message: "the name cannot be used", Advice: "use letters, digits, dots, dashes and underscores"}
		}
	}
	switch part(p) {
	case "", "aside":
		return &Problem{File: p, Message: "a policy folder has no such file",
			Advice: "it holds " + SchemaFile + ", " + RolesFile + ", policies/*.cedar, cardea/*.cedar, tests/*.yaml and rego/*.rego"}
	}
	return nil
}

func (all Files) sorted() Files {
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// ByPath finds a file.
func (all Files) ByPath(p string) (File, bool) {
	i := slices.IndexFunc(all, func(f File) bool { return f.Path == p })
	if i < 0 {
		return File{}, false
	}
	return all[i], true
}

// Size is the number of bytes of all files.
func (all Files) Size() (n int) {
	for _, f := range all {
		n += len(f.Text)
	}
	return n
}

// Own reports whether there are files about Cardea's own administration.
func (all Files) Own() bool {
	return slices.ContainsFunc(all, func(f File) bool { return part(f.Path) == "own" })
}

// Read judges files and makes them a folder. Every problem is reported at once;
// with problems the folder cannot be used, but holds what could be read.
func Read(files Files) (*Folder, Problems) {
	f := &Folder{Files: slices.Clone(files).sorted()}
	var problems Problems
	seen := map[string]bool{}
	for _, file := range f.Files {
		if p := acceptable(file.Path); p != nil {
			problems = append(problems, *p)
		}
		if seen[file.Path] {
			problems = append(problems, Problem{File: file.Path, Message: "the file is there twice"})
		}
		seen[file.Path] = true
		if len(file.Text) > MaxFile {
			problems = append(problems, Problem{File: file.Path, Message: fmt.Sprintf("the file is larger than %d KiB", MaxFile>>10), Advice: "split it"})
		} else if at := bytesOf(file.Text); at > 0 {
			problems = append(problems, Problem{File: file.Path, Line: at, Message: "this is not text in UTF-8", Advice: "save it as UTF-8 without control characters"})
		}
	}
	if len(f.Files) > MaxFiles || f.Files.Size() > MaxFolder {
		problems = append(problems, tooLarge())
	}
	if len(problems) > 0 { // what is not a text is not looked into
		return f, problems.sorted()
	}
	f.parse(&problems)
	if len(problems) > 0 {
		return f, problems.sorted()
	}
	whole := f.Source
	whole.Policies = slices.Concat(f.Source.Policies, f.Own)
	f.Hash = hash(whole)
	f.Source.Hash = f.Hash
	set, err := policy.Compile(f.Source)
	if err != nil {
		return f, append(problems, compiled(err)...).sorted()
	}
	if foreign := f.foreign(set); len(foreign) > 0 {
		return f, foreign.sorted()
	}
	f.Set = set
	if len(f.Own) > 0 {
		problems = f.guard(problems)
	}
	return f, problems.sorted()
}

// foreign finds what takes Cardea's own names for something else.
func (f *Folder) foreign(set *policy.Set) (all Problems) {
	for _, name := range slices.Sorted(slices.Values(append(set.Types(), set.ActionTypes()...))) {
		if builtin.Reserved(name) {
			all = append(all, Problem{File: SchemaFile, Message: "the namespace Cardea, with " + quoted(name) + ", is Cardea's own", Advice: "choose another namespace; policies about Cardea's operations stand in cardea/*.cedar"})
		}
	}
	for _, r := range set.Rules() {
		if builtin.Reserved(r.ID) {
			all = append(all, Problem{File: r.File, Line: r.Line, Column: r.Column, Message: "ids that begin with Cardea:: belong to the built-in policies", Advice: "choose another @id"})
		}
	}
	return all
}

// guard reads the policies about Cardea's own administration.
func (f *Folder) guard(problems Problems) Problems {
	set, err := builtin.Compile(f.Own)
	if err != nil {
		return append(problems, compiled(err)...)
	}
	if f.Guard = set; !builtin.WaysOf(f.Own).Anybody(set) {
		problems = append(problems, Problem{File: f.Own[0].Name, Message: "these policies lock everybody out: no owner could change policies any more, in no sign-in, network or time that was tried",
			Advice: `leave a way to "apply-policy" and "rollback-policy"`})
	}
	ids := map[string]bool{}
	for _, r := range f.Set.Rules() {
		ids[r.ID] = true
	}
	for _, r := range set.Rules() {
		if ids[r.ID] {
			problems = append(problems, Problem{File: r.File, Line: r.Line, Column: r.Column, Message: "there is another policy with the @id " + quoted(r.ID)})
		}
	}
	return problems
}

// parse reads what does not take the compiler.
func (f *Folder) parse(problems *Problems) {
	f.Source.Roles.File = RolesFile
	questions := 0
	for _, file := range f.Files {
		named := policy.File{Name: file.Path, Text: file.Text}
		switch part(file.Path) {
		case "schema":
			f.Source.Schema = named
		case "roles":
			f.Source.Roles = readRoles(file, problems)
		case "policy":
			f.Source.Policies = append(f.Source.Policies, named)
		case "own":
			f.Own = append(f.Own, named)
		case "test":
			f.Tests = append(f.Tests, readTests(file, problems)...)
		case "rego":
			if p := checkRego(file); p != nil {
				*problems = append(*problems, *p)
			}
		}
	}
	for _, t := range f.Tests {
		questions += len(t.Questions)
	}
	if len(f.Tests) > maxTests || questions > maxQuestions {
		*problems = append(*problems, Problem{File: "tests", Message: fmt.Sprintf("a folder has at most %d tests with %d questions", maxTests, maxQuestions)})
	}
	if f.Source.Schema.Name == "" {
		*problems = append(*problems, Problem{File: SchemaFile, Message: "there is no schema", Advice: "declare the types of entities and the actions there"})
	}
	// The compiler finds these too, but stops at the first of a file.
	for _, file := range slices.Concat([]policy.File{f.Source.Schema}, f.Source.Policies, f.Own) {
		if pieces, p := scan(file.Name, string(file.Text)); p != nil {
			*problems = append(*problems, *p)
		} else if _, _, p := nest(file.Name, pieces, 0); p != nil {
			*problems = append(*problems, *p)
		}
	}
}

// bytesOf is the line of the first byte that text files do not have, or 0.
func bytesOf(text []byte) int {
	line := 1
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return line
		}
		i += n
	}
	return 0
}

// compiled words what the compiler found.
func compiled(err error) (all Problems) {
	var found policy.Problems
	if !errors.As(err, &found) {
		return Problems{{File: ".", Message: err.Error()}}
	}
	for _, p := range found {
		text := p.Text
		if p.Policy != "" {
			text = "policy " + quoted(p.Policy) + ": " + text
		}
		all = append(all, Problem{File: p.File, Line: p.Line, Column: p.Column, Message: text})
	}
	return all
}

// SameWorld reports whether two folders have the same schema and the same roles,
// so that they differ in policies alone.
func SameWorld(a, b *Folder) bool {
	var x, y policy.Source
	x.Schema, x.Roles, y.Schema, y.Roles = a.Source.Schema, a.Source.Roles, b.Source.Schema, b.Source.Roles
	return hash(x) == hash(y)
}

// hash is the SHA-256 of what a source decides, each part with its length.
func hash(s policy.Source) string {
	h := sha256.New()
	put := func(b []byte) {
		fmt.Fprintf(h, "%d:", len(b))
		h.Write(b)
	}
	bare := func(f policy.File) {
		pieces, _ := scan(f.Name, string(f.Text))
		for _, p := range pieces {
			put([]byte(p.text))
		}
		put(nil)
	}
	put([]byte("cardea policy 1"))
	bare(s.Schema)
	types := map[string]map[string][2][]string{}
	for _, t := range s.Roles.Types {
		types[t.Type] = map[string][2][]string{}
		for _, r := range t.Roles {
			types[t.Type][r.Name] = [2][]string{sortedSet(r.Implies), sortedSet(r.Permissions)}
		}
	}
	roles, _ := json.Marshal(types) // keys are sorted; only strings are in it
	put(roles)
	for _, f := range s.Policies {
		put([]byte(f.Name))
		bare(f)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func sortedSet(list []string) []string {
	set := map[string]bool{}
	for _, s := range list {
		set[s] = true
	}
	return slices.Sorted(maps.Keys(set))
}
