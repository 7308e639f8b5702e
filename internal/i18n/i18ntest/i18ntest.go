// Package i18ntest finds the keys that templates use.
package i18ntest

import (
	"slices"
	"testing"
	"text/template/parse"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/fill"
)

// Keys are the constant first arguments of the method T in all templates, such
// as {{.T "signin.title"}} and {{$.T "signin.title"}}.
func Keys(pages map[string]*fill.Template) []string {
	var keys []string
	for _, page := range pages {
		for _, t := range page.Set().Templates() {
			if t.Tree != nil && t.Tree.Root != nil {
				walk(t.Tree.Root, &keys)
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Check fails the test for each key that pages, or more by name, use and a
// language lacks.
func Check(t *testing.T, c *i18n.Catalogue, pages *web.Pages, more ...string) {
	t.Helper()
	all, err := pages.Templates()
	if err != nil {
		t.Fatal(err)
	}
	keys := Keys(all)
	if len(keys) == 0 {
		t.Error("the templates use no messages at all")
	}
	for _, l := range c.Locales() {
		for _, key := range append(keys, more...) {
			if !l.Has(key) {
				t.Errorf("%s lacks %q, which a page uses", l.Tag(), key)
			}
		}
	}
}

func walk(n parse.Node, keys *[]string) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, c := range n.Nodes {
			walk(c, keys)
		}
	case *parse.ActionNode:
		walk(n.Pipe, keys)
	case *parse.IfNode:
		walkBranch(&n.BranchNode, keys)
	case *parse.RangeNode:
		walkBranch(&n.BranchNode, keys)
	case *parse.WithNode:
		walkBranch(&n.BranchNode, keys)
	case *parse.TemplateNode:
		walk(n.Pipe, keys)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, c := range n.Cmds {
			walk(c, keys)
		}
	case *parse.CommandNode:
		if len(n.Args) > 1 && isT(n.Args[0]) {
			if s, ok := n.Args[1].(*parse.StringNode); ok {
				*keys = append(*keys, s.Text)
			}
		}
		for _, a := range n.Args {
			walk(a, keys)
		}
	}
}

func walkBranch(n *parse.BranchNode, keys *[]string) {
	walk(n.Pipe, keys)
	walk(n.List, keys)
	if n.ElseList != nil {
		walk(n.ElseList, keys)
	}
}

func isT(n parse.Node) bool {
	var idents []string
	switch n := n.(type) {
	case *parse.FieldNode:
		idents = n.Ident
	case *parse.VariableNode:
		idents = n.Ident
	}
	return len(idents) > 0 && idents[len(idents)-1] == "T"
}
