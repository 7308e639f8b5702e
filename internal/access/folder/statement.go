package folder

import (
	"slices"
	"strconv"
	"strings"
)

// Statement is one policy as it stands in its file.
type Statement struct {
	ID           string
	File         string
	Line, Column int    // of its effect
	Text         string // in canonical layout, without comments
	Forbids      bool
}

// Policies lists the policies of a folder, those about Cardea last, by file and
// place.
func (f *Folder) Policies() (all []Statement) {
	for _, file := range slices.Concat(f.Source.Policies, f.Own) {
		pieces, problem := scan(file.Name, string(file.Text))
		if problem != nil {
			continue
		}
		nodes, _, problem := nest(file.Name, bare(pieces[:len(pieces)-1]), 0)
		if problem != nil {
			continue
		}
		for _, s := range split(nodes, func(i int) bool { return nodes[i].text == ";" }) {
			all = append(all, statementOf(file.Name, s))
		}
	}
	return all
}

// bare is pieces without comments and blank lines.
func bare(pieces []piece) []piece {
	out := slices.Clone(pieces)
	for i := range out {
		out[i].above, out[i].beside, out[i].gap = nil, "", false
	}
	return out
}

// split cuts nodes behind those that end a statement.
func split(nodes []node, ends func(i int) bool) (all [][]node) {
	from := 0
	for i := range nodes {
		if ends(i) {
			all, from = append(all, nodes[from:i+1]), i+1
		}
	}
	if from < len(nodes) {
		all = append(all, nodes[from:])
	}
	return all
}

func statementOf(file string, s []node) Statement {
	st := Statement{File: file, Line: s[0].line, Column: s[0].column}
	for i := 0; i+2 < len(s) && s[i].text == "@"; i += 3 {
		if !s[i+2].group { // an annotation without a value
			i--
			continue
		}
		if s[i+1].text == "id" && len(s[i+2].inner) == 1 {
			st.ID = unquoted(s[i+2].inner[0].text)
		}
	}
	for _, n := range s {
		if n.kind == word && (n.text == "permit" || n.text == "forbid") {
			st.Line, st.Column, st.Forbids = n.line, n.column, n.text == "forbid"
			break
		}
	}
	var p printer
	p.statement(s, 0)
	st.Text = p.out.String()
	return st
}

// unquoted is the value of a text of Cedar, as far as ids have escapes.
func unquoted(s string) string {
	if v, err := strconv.Unquote(s); err == nil {
		return v
	}
	return strings.Trim(s, `"`)
}
