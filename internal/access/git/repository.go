// Package git reads a folder of one commit of a Git repository over HTTP, without a
// program or files of its own. [Repository.Head] asks where a branch is;
// [Repository.Files] fetches that commit one deep and gives the policy folder in it.
//
// What a server sends is a stranger's: its size, its depth and how often it may refer
// to itself are bounded, and every object is hashed, so that a commit's id stands for
// all that is in it. Errors are words for people, without line breaks of the server's.
// HTTP itself is the caller's [Exchange].
package git

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/fault"
)

// Repository is where to read. It speaks version 2 of Git's protocol
// (gitprotocol-v2).
type Repository struct {
	Exchange           Exchange
	URL                string // without a slash at the end
	Username, Password string
	filters            bool // the server leaves out what is large
}

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

// Head asks which commit a branch is at; "" is the default branch.
func (r *Repository) Head(ctx context.Context, branch string) (string, error) {
	hello, err := r.Exchange(ctx, Request{URL: r.URL + "/info/refs?service=git-upload-pack", Username: r.Username, Password: r.Password,
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
			return "", fmt.Errorf("repositories with the object format %q are not read", fault.Line(format))
		}
		if features, ok := strings.CutPrefix(string(l), "fetch="); ok {
			r.filters = strings.Contains(" "+features+" ", " filter ")
		}
	}
	ref := "HEAD"
	if branch != "" {
		ref = "refs/heads/" + branch
	}
	answer, err := r.ask(ctx, "ls-refs", 4<<20, "ref-prefix "+ref)
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
	return "", fmt.Errorf("the repository has no branch %q", fault.Line(branch))
}

// Files reads the policy folder in a folder of a commit that Head gave; "" is the root.
func (r *Repository) Files(ctx context.Context, commit, dir string) (folder.Files, folder.Problems, error) {
	args := []string{"want " + commit, "deepen 1", "ofs-delta", "no-progress"}
	if r.filters {
		args = append(args, "filter blob:limit="+strconv.Itoa(2*folder.MaxFile))
	}
	answer, err := r.ask(ctx, "fetch", maxPack, append(args, "done")...)
	if err != nil {
		return nil, nil, err
	}
	pack, err := packIn(answer)
	if err != nil {
		return nil, nil, err
	}
	all, err := unpack(pack)
	if err != nil {
		return nil, nil, err
	}
	tree, err := all.treeOf(commit)
	if err != nil {
		return nil, nil, err
	}
	if tree, err = all.below(tree, dir); err != nil {
		return nil, nil, err
	}
	var in folder.Gatherer
	if err := all.gather(&in, tree, "", 0); err != nil {
		return nil, nil, err
	}
	files, problems := in.Done()
	return files, problems, nil
}
