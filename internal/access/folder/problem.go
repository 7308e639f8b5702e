package folder

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is something in a folder that keeps it from being used, or that its
// tests found.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // from 1; 0: the file as a whole
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"` // what to do
}

// String is the form of compilers: file:line:column: message (advice).
func (p Problem) String() string {
	s := p.Place() + ": " + p.Message
	if p.Advice != "" {
		s += " (" + p.Advice + ")"
	}
	return s
}

// Place is file:line:column as far as it is known.
func (p Problem) Place() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problems are all that was found, in the order of files and lines.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// sorted is p in reading order, bounded: a file that is no policy at all must
// not be answered with a hundred thousand lines.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	p = slices.Compact(p)
	if more := len(p) - maxProblems; more > 0 {
		p = append(p[:maxProblems:maxProblems], Problem{File: p[maxProblems].File, Message: fmt.Sprintf("there are %d more problems", more), Advice: "repair those above first"})
	}
	return p
}

// quoted is s for a message: short, and harmless to a terminal.
func quoted(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return `"` + s + `"`
}
