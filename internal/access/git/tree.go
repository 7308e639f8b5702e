package git

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/fault"
)

// treeOf is the tree of a commit.
func (s objects) treeOf(commit string) (string, error) {
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

func (s objects) entries(tree string) (all []treeEntry, err error) {
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
func (s objects) below(tree, dir string) (string, error) {
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
		return "", fmt.Errorf("the repository has no folder %q", fault.Line(dir))
	}
	return tree, nil
}

// gather takes the files of a tree. Links and other repositories are not
// followed.
func (s objects) gather(in *folder.Gatherer, tree, prefix string, depth int) error {
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
					return nil, fmt.Errorf("%s is too large", fault.Line(p))
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
