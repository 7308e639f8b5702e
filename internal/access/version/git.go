package version

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/access/folder"
)

// Exchange sends a request to a server that others chose and returns the body of
// its answer, which must be 200. It guards against reaching what is not public.
type Exchange func(ctx context.Context, r Request) ([]byte, error)

// Request is one HTTP request. A body makes it a POST.
type Request struct {
	URL                string
	Header             map[string]string
	Username, Password string // for HTTP Basic, if there are any
	Body               []byte
	Limit              int // bytes of the answer
}

// The bounds of what is read of a repository. It is read one commit deep.
const (
	maxPack     = 32 << 20  // bytes of a pack
	maxUnpacked = 128 << 20 // bytes of all its objects
	maxObject   = 8 << 20   // bytes of one that is kept; larger ones are passed over
	maxObjects  = 100_000
	maxDeltas   = 60 // that one object is made of
)

// repository reads the branch of a Git repository over HTTP, in version 2 of
// Git's protocol (gitprotocol-v2), without a program or files of its own. What it
// reads is hashed, so that a commit's id stands for all that is in it.
type repository struct {
	exchange           Exchange
	url                string
	username, password string
	filters            bool // the server leaves out what is large
}

// head asks which commit a branch is at; "" is the default branch.
func (g *repository) head(ctx context.Context, branch string) (string, error) {
	hello, err := g.exchange(ctx, Request{URL: g.url + "/info/refs?service=git-upload-pack", Username: g.username, Password: g.password,
		Header: map[string]string{"Git-Protocol": "version=2"}, Limit: 1 << 20})
	if err != nil {
		return "", err
	}
	lines, err := packets(hello)
	if err != nil {
		return "", err
	}
	if !has(lines, "version 2") {
		return "", errors.New("the server does not speak version 2 of Git's protocol (is it the address of a repository?)")
	}
	for _, l := range lines {
		if format, ok := strings.CutPrefix(string(l), "object-format="); ok && format != "sha1" {
			return "", fmt.Errorf("repositories with the object format %q are not read", clip(format))
		}
		if features, ok := strings.CutPrefix(string(l), "fetch="); ok {
			g.filters = strings.Contains(" "+features+" ", " filter ")
		}
	}
	ref := "HEAD"
	if branch != "" {
		ref = "refs/heads/" + branch
	}
	answer, err := g.ask(ctx, "ls-refs", 4<<20, "ref-prefix "+ref)
	if err != nil {
		return "", err
	}
	lines, err = packets(answer)
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		oid, rest, _ := strings.Cut(string(l), " ")
		if name, _, _ := strings.Cut(rest, " "); name == ref && len(oid) == 40 {
			return oid, nil
		}
	}
	return "", fmt.Errorf("the repository has no branch %q", clip(branch))
}

// files reads the policy folder in a commit.
func (g *repository) files(ctx context.Context, commit, dir string) (folder.Files, folder.Problems, error) {
	args := []string{"want " + commit, "deepen 1", "ofs-delta", "no-progress"}
	if g.filters {
		args = append(args, "filter blob:limit="+strconv.Itoa(2*folder.MaxFile))
	}
	answer, err := g.ask(ctx, "fetch", maxPack, append(args, "done")...)
	if err != nil {
		return nil, nil, err
	}
	pack, err := packIn(answer)
	if err != nil {
		return nil, nil, err
	}
	objects, err := unpack(pack)
	if err != nil {
		return nil, nil, err
	}
	tree, err := objects.treeOf(commit)
	if err != nil {
		return nil, nil, err
	}
	if tree, err = objects.below(tree, dir); err != nil {
		return nil, nil, err
	}
	var in folder.Gatherer
	if err := objects.gather(&in, tree, "", 0); err != nil {
		return nil, nil, err
	}
	files, problems := in.Done()
	return files, problems, nil
}

func (g *repository) ask(ctx context.Context, command string, limit int, args ...string) ([]byte, error) {
	var b bytes.Buffer
	line := func(s string) { fmt.Fprintf(&b, "%04x%s\n", len(s)+5, s) }
	line("command=" + command)
	line("agent=cardea")
	line("object-format=sha1")
	b.WriteString("0001")
	for _, a := range args {
		line(a)
	}
	b.WriteString("0000")
	return g.exchange(ctx, Request{URL: g.url + "/git-upload-pack", Username: g.username, Password: g.password, Body: b.Bytes(), Limit: limit,
		Header: map[string]string{"Git-Protocol": "version=2", "Content-Type": "application/x-git-upload-pack-request", "Accept": "application/x-git-upload-pack-result"}})
}

var errGit = errors.New("the server's answer is not Git's protocol")

// packets splits an answer into its lines; delimiters and flushes are nil.
func packets(b []byte) (all [][]byte, err error) {
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errGit
		}
		n, err := strconv.ParseUint(string(b[:4]), 16, 16)
		if err != nil || n == 3 || int(n) > len(b) {
			return nil, errGit
		}
		if n < 4 {
			all, b = append(all, nil), b[4:]
			continue
		}
		l := b[4:n]
		if said, failed := bytes.CutPrefix(l, []byte("ERR ")); failed {
			return nil, fmt.Errorf("the server says: %s", clip(string(said)))
		}
		all, b = append(all, bytes.TrimSuffix(l, []byte("\n"))), b[n:]
	}
	return all, nil
}

func has(lines [][]byte, want string) bool {
	for _, l := range lines {
		if string(l) == want {
			return true
		}
	}
	return false
}

// packIn takes the pack out of the answer to a fetch.
func packIn(b []byte) ([]byte, error) {
	var pack []byte
	inside := false
	for len(b) >= 4 {
		n, err := strconv.ParseUint(string(b[:4]), 16, 16)
		if err != nil || n == 3 || int(n) > len(b) {
			return nil, errGit
		}
		if n < 4 {
			b = b[4:]
			continue
		}
		l := b[4:n]
		b = b[n:]
		switch {
		case !inside && bytes.HasPrefix(l, []byte("ERR ")):
			return nil, fmt.Errorf("the server says: %s", clip(string(l[4:])))
		case !inside:
			inside = string(bytes.TrimSuffix(l, []byte("\n"))) == "packfile"
		case len(l) > 0 && l[0] == 1:
			pack = append(pack, l[1:]...)
		case len(l) > 0 && l[0] == 3:
			return nil, fmt.Errorf("the server says: %s", clip(string(l[1:])))
		}
	}
	if pack == nil {
		return nil, errGit
	}
	return pack, nil
}

// object is what a pack holds.
type object struct {
	kind byte // 1 commit, 2 tree, 3 blob, 4 tag
	data []byte
	over bool // it is too large to be kept
	hops int
}

// store holds objects by their ids, which are the hashes of what is in them.
type store map[string]*object

var kinds = map[byte]string{1: "commit", 2: "tree", 3: "blob", 4: "tag"}

// unpack reads a pack of version 2 (gitformat-pack).
func unpack(p []byte) (store, error) {
	if len(p) < 32 || string(p[:4]) != "PACK" || binary.BigEndian.Uint32(p[4:]) != 2 {
		return nil, errGit
	}
	body, sum := p[:len(p)-20], p[len(p)-20:]
	if got := sha1.Sum(body); !bytes.Equal(got[:], sum) {
		return nil, errors.New("the pack did not arrive whole")
	}
	n := binary.BigEndian.Uint32(p[8:])
	if n > maxObjects {
		return nil, tooMuch()
	}
	byID, at, total := store{}, map[int]*object{}, 0
	r := bytes.NewReader(body)
	_, _ = r.Seek(12, io.SeekStart)
	for range n {
		start := len(body) - r.Len()
		o, size, err := next(r, start, byID, at)
		if err != nil {
			return nil, err
		}
		if total += size; total > maxUnpacked {
			return nil, tooMuch()
		}
		at[start] = o
		if !o.over {
			byID[idOf(o)] = o
		}
	}
	return byID, nil
}

func tooMuch() error {
	return errors.New("the repository is too large to be read (keep policies in one of their own)")
}

func idOf(o *object) string {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", kinds[o.kind], len(o.data))
	h.Write(o.data)
	return hex.EncodeToString(h.Sum(nil))
}

// next reads one object, whose size in the pack's own words it returns as well.
func next(r *bytes.Reader, start int, byID store, at map[int]*object) (*object, int, error) {
	b, err := r.ReadByte()
	if err != nil {
		return nil, 0, errGit
	}
	kind, size, shift := b>>4&7, int(b&15), 4
	for b&0x80 != 0 && shift < 32 {
		if b, err = r.ReadByte(); err != nil {
			return nil, 0, errGit
		}
		size |= int(b&0x7f) << shift
		shift += 7
	}
	if size > maxUnpacked {
		return nil, 0, tooMuch()
	}
	var base *object
	switch kind {
	case 6: // made from the object so many bytes before
		back, err := offset(r)
		if err != nil {
			return nil, 0, err
		}
		base = at[start-back]
	case 7: // made from the object of this id
		var id [20]byte
		if _, err := io.ReadFull(r, id[:]); err != nil {
			return nil, 0, errGit
		}
		base = byID[hex.EncodeToString(id[:])]
	case 1, 2, 3, 4:
	default:
		return nil, 0, errGit
	}
	data, err := inflate(r, size)
	if err != nil {
		return nil, 0, err
	}
	if kind < 5 {
		return &object{kind: kind, data: data, over: data == nil && size > 0}, size, nil
	}
	switch {
	case base == nil || base.hops == maxDeltas:
		return nil, 0, errGit
	case base.over || data == nil:
		return &object{kind: base.kind, over: true, hops: base.hops + 1}, size, nil
	}
	made, over, err := apply(base.data, data)
	if err != nil {
		return nil, 0, err
	}
	return &object{kind: base.kind, data: made, over: over, hops: base.hops + 1}, size + len(made), nil
}

func offset(r *bytes.Reader) (int, error) {
	b, err := r.ReadByte()
	n := int(b & 0x7f)
	for err == nil && b&0x80 != 0 && n < 1<<32 {
		b, err = r.ReadByte()
		n = (n+1)<<7 | int(b&0x7f)
	}
	if err != nil {
		return 0, errGit
	}
	return n, nil
}

// inflate reads what was compressed; nil if it is too large to be kept. The
// reader is a ByteReader, so that not a byte more is taken than belongs to it.
func inflate(r *bytes.Reader, size int) ([]byte, error) {
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, errGit
	}
	if size > maxObject {
		if n, err := io.Copy(io.Discard, io.LimitReader(z, int64(size)+1)); err != nil || n != int64(size) {
			return nil, errGit
		}
		return nil, nil
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(z, data); err != nil {
		return nil, errGit
	}
	if n, err := z.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return nil, errGit
	}
	return data, nil
}

// apply makes an object from another and a delta.
func apply(base, delta []byte) (made []byte, over bool, err error) {
	number := func() int {
		n, shift := 0, 0
		for len(delta) > 0 && shift < 40 {
			b := delta[0]
			delta = delta[1:]
			n |= int(b&0x7f) << shift
			if b&0x80 == 0 {
				return n
			}
			shift += 7
		}
		return -1
	}
	if from, to := number(), 0; from != len(base) {
		return nil, false, errGit
	} else if to = number(); to < 0 {
		return nil, false, errGit
	} else if to > maxObject {
		return nil, true, nil
	} else {
		made = make([]byte, 0, to)
	}
	want := cap(made)
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			if op == 0 || int(op) > len(delta) || len(made)+int(op) > want {
				return nil, false, errGit
			}
			made, delta = append(made, delta[:op]...), delta[op:]
			continue
		}
		var from, n int
		for i := range 7 {
			if op&(1<<i) == 0 {
				continue
			}
			if len(delta) == 0 {
				return nil, false, errGit
			}
			if i < 4 {
				from |= int(delta[0]) << (8 * i)
			} else {
				n |= int(delta[0]) << (8 * (i - 4))
			}
			delta = delta[1:]
		}
		if n == 0 {
			n = 0x10000
		}
		if from+n > len(base) || len(made)+n > want {
			return nil, false, errGit
		}
		made = append(made, base[from:from+n]...)
	}
	if len(made) != want {
		return nil, false, errGit
	}
	return made, false, nil
}

// treeOf is the tree of a commit.
func (s store) treeOf(commit string) (string, error) {
	o := s[commit]
	if o == nil || o.kind != 1 {
		return "", errors.New("the server did not send the commit")
	}
	line, _, _ := bytes.Cut(o.data, []byte("\n"))
	tree, ok := bytes.CutPrefix(line, []byte("tree "))
	if !ok {
		return "", errGit
	}
	return string(tree), nil
}

type treeEntry struct{ mode, name, id string }

func (s store) entries(tree string) (all []treeEntry, err error) {
	o := s[tree]
	if o == nil || o.kind != 2 {
		return nil, errors.New("the server did not send a folder of the commit")
	}
	for b := o.data; len(b) > 0; {
		space, zero := bytes.IndexByte(b, ' '), bytes.IndexByte(b, 0)
		if space < 0 || zero < space || len(b) < zero+21 {
			return nil, errGit
		}
		if name := b[space+1 : zero]; len(name) == 0 || bytes.IndexByte(name, '/') >= 0 {
			return nil, errGit // no Git makes these, and what is shown would not be what is read
		}
		all = append(all, treeEntry{string(b[:space]), string(b[space+1 : zero]), hex.EncodeToString(b[zero+1 : zero+21])})
		b = b[zero+21:]
	}
	return all, nil
}

const modeFolder = "40000"

// below finds the tree of a folder within a tree.
func (s store) below(tree, dir string) (string, error) {
	if dir == "" {
		return tree, nil
	}
next:
	for name := range strings.SplitSeq(dir, "/") {
		all, err := s.entries(tree)
		if err != nil {
			return "", err
		}
		for _, e := range all {
			if e.name == name && e.mode == modeFolder {
				tree = e.id
				continue next
			}
		}
		return "", fmt.Errorf("the repository has no folder %q", clip(dir))
	}
	return tree, nil
}

// gather takes the files of a tree. Links and other repositories are not
// followed.
func (s store) gather(in *folder.Gatherer, tree, prefix string, depth int) error {
	all, err := s.entries(tree)
	if err != nil {
		return err
	}
	for _, e := range all {
		p := path.Join(prefix, e.name)
		switch {
		case e.mode == modeFolder && strings.HasPrefix(e.name, "."), e.mode == modeFolder && depth > 6:
			err = in.Pass()
		case e.mode == modeFolder:
			if err = in.Pass(); err == nil {
				err = s.gather(in, e.id, p, depth+1)
			}
		default:
			err = in.Add(p, strings.HasPrefix(e.mode, "100"), func() ([]byte, error) {
				o := s[e.id]
				if o == nil || o.kind != 3 {
					return nil, fmt.Errorf("%s is too large", clip(p))
				}
				return o.data, nil
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// clip is a stranger's word, fit for a line.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return strings.TrimSpace(s)
}
