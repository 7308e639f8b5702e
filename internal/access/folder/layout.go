package folder

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// width is how long a line of Cedar may be before it is broken.
const width = 100

// node is a token, or a pair of brackets and what is between.
type node struct {
	piece
	group bool
	inner []node
	close piece
}

// LayoutCedar gives policies or a schema their canonical layout. The tokens and
// the comments stay as they are, so the meaning cannot change; only space does.
func LayoutCedar(file, src string) (string, *Problem) {
	pieces, problem := scan(file, src)
	if problem != nil {
		return "", problem
	}
	p := printer{schema: strings.HasSuffix(file, schemaSuffix)}
	tail := pieces[len(pieces)-1]
	nodes, rest, problem := nest(file, pieces[:len(pieces)-1], 0)
	if problem == nil && len(rest) > 0 {
		problem = &Problem{File: file, Line: rest[0].line, Column: rest[0].column, Message: quoted(rest[0].text) + " closes nothing", Advice: "remove it, or open it before"}
	}
	if problem != nil {
		return "", problem
	}
	p.statements(nodes, 0)
	if n := len(tail.above); n > 0 && tail.above[n-1].text == "" {
		tail.above = tail.above[:n-1]
	}
	p.comments(tail.above, 0, tail.gap && p.out.Len() > 0)
	return p.out.String(), nil
}

// maxNesting is how deep brackets may be nested.
const maxNesting = 64

// nest pairs the brackets, up to one that closes what was opened before.
func nest(file string, in []piece, depth int) (nodes []node, rest []piece, _ *Problem) {
	for len(in) > 0 {
		t := in[0]
		if t.kind == sign && (t.text == ")" || t.text == "]" || t.text == "}") {
			return nodes, in, nil
		}
		in = in[1:]
		n := node{piece: t}
		if shut := map[string]string{"(": ")", "[": "]", "{": "}"}[t.text]; t.kind == sign && shut != "" {
			if depth == maxNesting {
				return nil, nil, &Problem{File: file, Line: t.line, Column: t.column, Message: fmt.Sprintf("brackets are nested deeper than %d", maxNesting), Advice: "write it in several policies"}
			}
			inner, after, problem := nest(file, in, depth+1)
			if problem != nil {
				return nil, nil, problem
			}
			if len(after) == 0 || after[0].text != shut {
				return nil, nil, &Problem{File: file, Line: t.line, Column: t.column, Message: quoted(t.text) + " is not closed", Advice: "close it with " + quoted(shut)}
			}
			n.group, n.inner, n.close, in = true, inner, after[0], after[1:]
		}
		nodes = append(nodes, n)
	}
	return nodes, nil, nil
}

type printer struct {
	schema bool
	out    strings.Builder
}

func (p *printer) line(indent int, s string) {
	if s != "" {
		p.out.WriteString(strings.Repeat("  ", indent))
		p.out.WriteString(s)
	}
	p.out.WriteByte('\n')
}

// comments writes lines of comments; one without text is a blank line.
func (p *printer) comments(all []comment, indent int, gap bool) {
	for i, c := range all {
		if c.text == "" && i == len(all)-1 {
			p.out.WriteByte('\n')
			break
		}
		if gap && i == 0 || c.gap && i > 0 {
			p.out.WriteByte('\n')
		}
		p.line(indent, c.text)
	}
}

// statements writes policies, or the declarations of a schema.
func (p *printer) statements(nodes []node, indent int) {
	before := false // a wide one came before
	for first := true; len(nodes) > 0; first = false {
		to := 0
		for to < len(nodes) && !p.ends(nodes, to) {
			to++
		}
		to = min(to+1, len(nodes))
		s := nodes[:to]
		gap := !first && (!p.schema || s[0].gap || p.wide(s) || before)
		before = p.wide(s)
		if gap {
			p.out.WriteByte('\n')
		}
		p.comments(s[0].above, indent, false)
		s[0].above = nil
		p.statement(s, indent)
		nodes = nodes[to:]
	}
}

// ends reports whether nodes[i] ends a statement: a semicolon, or the braces
// of a namespace.
func (p *printer) ends(nodes []node, i int) bool {
	if nodes[i].text == ";" {
		return true
	}
	if !p.schema || !nodes[i].group || nodes[i].text != "{" {
		return false
	}
	for _, n := range nodes[:i] {
		if n.kind == word && n.text == "namespace" {
			return true
		}
		if n.kind == word && (n.text == "entity" || n.text == "action" || n.text == "type") {
			return false
		}
	}
	return false
}

// wide reports whether a declaration takes more than a line.
func (p *printer) wide(s []node) bool {
	for _, n := range s {
		if n.group && n.text == "{" && len(n.inner) > 0 || n.text == "@" {
			return true
		}
	}
	return false
}

// statement writes annotations on lines of their own, then the rest: each
// condition of a policy on a line of its own as well.
func (p *printer) statement(s []node, indent int) {
	s = p.annotations(s, indent)
	if p.schema {
		for i, n := range s {
			if n.kind == word && n.text == "namespace" && i+1 < len(s) && s[len(s)-1].group {
				body := s[len(s)-1]
				p.line(indent, p.flat(s[:len(s)-1])+" {"+besides(body.piece))
				p.statements(body.inner, indent+1)
				p.comments(body.close.above, indent+1, false)
				p.line(indent, "}"+besides(body.close))
				return
			}
		}
		p.run(s, indent, "")
		return
	}
	from := 0
	for i := 1; i < len(s); i++ {
		if s[i].kind == word && (s[i].text == "when" || s[i].text == "unless") && s[i-1].group {
			p.run(s[from:i], indent, "")
			from = i
		}
	}
	p.run(s[from:], indent, "")
}

// annotations writes the annotations that s begins with and returns the rest.
func (p *printer) annotations(s []node, indent int) []node {
	for len(s) > 2 && s[0].text == "@" {
		to := 2
		if s[2].group && s[2].text == "(" {
			to = 3
		}
		p.run(s[:to], indent, "")
		s = s[to:]
	}
	return s
}

// run writes nodes that belong together on one line if they fit and hold no
// comments, and otherwise with their brackets opened. tail comes behind them.
func (p *printer) run(s []node, indent int, tail string) {
	if len(s) == 0 {
		return
	}
	above, beside := lift(s)
	p.comments(above, indent, false)
	if p.fits(s, indent, tail) {
		p.line(indent, p.flat(s)+tail+beside)
		return
	}
	at := p.widest(s)
	if at < 0 {
		p.line(indent, p.flat(s)+tail+beside)
		return
	}
	g := s[at]
	head := append(slices.Clone(s[:at]), node{piece: piece{text: g.text, kind: sign}})
	p.line(indent, p.flat(head)+besides(g.piece))
	p.parts(g.inner, indent+1, g)
	p.comments(g.close.above, indent+1, false)
	rest := s[at+1:]
	// What follows a closed bracket goes on behind it, as far as it fits.
	if len(rest) == 0 {
		p.line(indent, g.close.text+tail+beside)
		return
	}
	follow := append([]node{{piece: piece{text: g.close.text, kind: sign}}}, rest...)
	p.run(follow, indent, tail+beside)
}

// widest is the first group of s that has to be opened, or else the first that
// can be; -1 if there is none.
func (p *printer) widest(s []node) int {
	best, size := -1, 0
	for i, n := range s {
		if !n.group || len(n.inner) == 0 && len(n.close.above) == 0 {
			continue
		}
		if p.mustOpen(n) {
			return i
		}
		if w := utf8.RuneCountInString(p.flat(n.inner)); w > size {
			best, size = i, w
		}
	}
	return best
}

// parts writes the inside of brackets, a line for each part: what commas,
// semicolons, && and || end.
func (p *printer) parts(s []node, indent int, g node) {
	for len(s) > 0 {
		to := 0
		for to < len(s) && !separates(s[to]) {
			if to > 0 && s[to].kind == word && (s[to].text == "then" || s[to].text == "else") {
				break
			}
			to++
		}
		part, tail := s[:to], ""
		var behind string
		if to < len(s) && separates(s[to]) {
			if len(s[to].above) > 0 && len(part) > 0 {
				part[0].above = append(part[0].above, s[to].above...)
			}
			tail, behind = s[to].text, besides(s[to].piece)
			if behind != "" && len(part) > 0 { // two comments do not fit behind one line
				if last := &part[len(part)-1]; last.group && last.close.beside != "" {
					part[0].above, last.close.beside = append(part[0].above, comment{text: last.close.beside}), ""
				} else if !last.group && last.beside != "" {
					part[0].above, last.beside = append(part[0].above, comment{text: last.beside}), ""
				}
			}
			if s[to].kind == sign && (tail == "&&" || tail == "||") {
				tail = " " + tail
			}
			to++
		}
		if len(part) > 0 && part[0].gap && !p.first(part, g) {
			p.out.WriteByte('\n')
		}
		if p.schema {
			if len(part) > 0 {
				p.comments(part[0].above, indent, false)
				part[0].above = nil
			}
			part = p.annotations(part, indent)
		}
		p.run(part, indent, tail+behind)
		s = s[to:]
	}
}

// first reports whether a part is the first one within its brackets.
func (p *printer) first(part []node, g node) bool {
	return part[0].line == g.inner[0].line && part[0].column == g.inner[0].column
}

func separates(n node) bool {
	return n.kind == sign && (n.text == "," || n.text == ";" || n.text == "&&" || n.text == "||")
}

// lift takes the comments out of nodes that are written on one line: those
// before and within go above, that of the last token stays beside it.
func lift(s []node) (above []comment, beside string) {
	for i := range s {
		above = append(above, s[i].above...)
		s[i].above = nil
		last := i == len(s)-1
		switch {
		case s[i].group && last:
			beside, s[i].close.beside = besides(s[i].close), ""
		case s[i].group && s[i].close.beside != "":
			above = append(above, comment{text: s[i].close.beside})
			s[i].close.beside = ""
		case s[i].group:
		case last:
			beside, s[i].beside = besides(s[i].piece), ""
		case s[i].beside != "":
			above = append(above, comment{text: s[i].beside})
			s[i].beside = ""
		}
	}
	for len(above) > 0 && above[len(above)-1].text == "" {
		above = above[:len(above)-1]
	}
	kept := above[:0]
	for _, c := range above {
		if c.text != "" {
			kept = append(kept, c)
		}
	}
	return kept, beside
}

func besides(t piece) string {
	if t.beside == "" {
		return ""
	}
	return " " + t.beside
}

// fits reports whether nodes can stand on one line.
func (p *printer) fits(s []node, indent int, tail string) bool {
	for _, n := range s {
		if n.group && p.mustOpen(n) {
			return false
		}
	}
	before, _, _ := strings.Cut(tail, " //")
	return 2*indent+utf8.RuneCountInString(p.flat(s))+len(before) <= width
}

// mustOpen reports whether a group cannot stand on one line: it holds comments,
// or it is a record of a schema, which differences are easier to read of in lines.
func (p *printer) mustOpen(g node) bool {
	if g.beside != "" || len(g.close.above) > 0 || p.schema && g.text == "{" && len(g.inner) > 0 {
		return true
	}
	for _, n := range g.inner {
		if len(n.above) > 0 || n.beside != "" || n.group && (p.mustOpen(n) || n.close.beside != "") {
			return true
		}
	}
	return false
}

// flat writes nodes on one line.
func (p *printer) flat(s []node) string {
	var b strings.Builder
	for i, n := range s {
		if i > 0 && p.spaced(s[:i], n) {
			b.WriteByte(' ')
		}
		b.WriteString(n.text)
		if n.group {
			inside := p.flat(n.inner)
			if n.text == "{" && inside != "" {
				inside = " " + inside + " "
			}
			b.WriteString(inside + n.close.text)
		}
	}
	return b.String()
}

// spaced reports whether a space stands between the last node of before and n.
func (p *printer) spaced(before []node, n node) bool {
	a := before[len(before)-1]
	switch {
	case !a.group && a.kind == sign && strings.Contains(" :: . @ ! ? ( [ ", " "+a.text+" ") && a.text != "?":
		return false
	case a.text == "-" && a.kind == sign && (len(before) == 1 || !operand(before[len(before)-2])):
		return false
	case n.kind == sign && strings.Contains(" , ; . :: : ) ] ", " "+n.text+" "):
		return false
	case p.schema && n.kind == sign && strings.Contains(" ? < > ", " "+n.text+" "), p.schema && a.kind == sign && a.text == "<":
		return false
	case n.text == "(" && n.kind == sign:
		annotated := len(before) > 1 && before[len(before)-2].text == "@"
		return !annotated && (a.kind != word || keyword(a.text))
	case n.text == "[" && n.kind == sign:
		return p.schema || !operand(a)
	}
	return true
}

// operand reports whether n can end a value.
func operand(n node) bool {
	return n.group || n.kind == number || n.kind == text || n.kind == word && !keyword(n.text) || n.kind == sign && (n.text == ")" || n.text == "]" || n.text == "}")
}

func keyword(s string) bool {
	return strings.Contains(" permit forbid when unless if then else in like is has ", " "+s+" ")
}
