package agent

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/access/folder"
)

// FactsAt is where an agent keeps the facts among its documents.
const FactsAt = rootFacts

// Module is a file of Rego, or a document, with its place.
type Module struct {
	Path, Package string
	Text          []byte
}

// Modules are the policies of a realm, file by file.
type Modules struct {
	Tag     string
	Version string
	Rego    []Module
	Data    []Module // by their places among the documents
}

// Modules gives the policies of a realm: those in some directories of the folder,
// and our own rules in any case. No directory, or a dot, is all of them.
func (p *Plane) Modules(ctx context.Context, realm, issuer string, directories []string) (*Modules, error) {
	policy, _, err := p.Tags(ctx, realm, issuer) // before the rows are read: news comes once more rather than not at all
	if err != nil {
		return nil, err
	}
	number, files, roles, err := p.policy(ctx, realm)
	if err != nil {
		return nil, err
	}
	m := &Modules{Tag: policy, Version: strconv.FormatInt(number, 10), Rego: []Module{{rootRules + "/rules.rego", strings.ReplaceAll(rootRules, "/", "."), rules}}}
	told, err := json.Marshal(rolesTold(roles))
	if err != nil {
		return nil, err
	}
	types, err := json.Marshal(p.o.Directory.Types)
	if err != nil {
		return nil, err
	}
	m.Data = []Module{{Path: rootRoles, Text: told}, {Path: rootTypes, Text: types}}
	for _, f := range Rego(files) {
		if pkg, _, ok := folder.RegoPackage(f.Text); ok && within(f.Path, directories) {
			m.Rego = append(m.Rego, Module{f.Path, strings.Join(pkg, "."), f.Text})
		}
	}
	return m, nil
}

func within(path string, directories []string) bool {
	return len(directories) == 0 || slices.ContainsFunc(directories, func(d string) bool {
		d = strings.Trim(strings.TrimPrefix(d, "./"), "/")
		return d == "." || d == "" || strings.HasPrefix(path, d+"/")
	})
}

// Tags name the policies and the facts that a realm has now.
func (p *Plane) Tags(ctx context.Context, realm, issuer string) (policy, facts string, err error) {
	s := p.stream(realm)
	b, err := p.Policy(ctx, realm, issuer, "")
	if err != nil {
		return "", "", err
	}
	if err := s.enter(ctx); err != nil {
		return "", "", err
	}
	defer s.leave()
	if err := s.advance(ctx, p, 0); err != nil {
		return "", "", err
	}
	return b.Tag, tagAt(s.content), nil
}

// Document is the facts of a realm as one document, with its tag.
func (p *Plane) Document(ctx context.Context, realm string) (text []byte, tag string, err error) {
	s := p.stream(realm)
	if err := s.enter(ctx); err != nil {
		return nil, "", err
	}
	defer s.leave()
	if err := s.advance(ctx, p, 0); err != nil {
		return nil, "", err
	}
	if s.document == nil {
		if s.document, err = (view{s.graph, p.o.Directory}).snapshot(); err != nil {
			return nil, "", err
		}
	}
	return s.document, tagAt(s.content), nil
}

// RevisionOf is the revision that a tag of facts names, "" if it is none.
func RevisionOf(tag string) string {
	text, _ := strings.CutPrefix(tag, factsTag)
	return text
}

// Said is a text of somebody else's, cut short and printable.
func Said(s string, most int) string { return said(s, most) }
