package folder

import (
	"strings"
	"unicode/utf8"
)

// piece is one token of Cedar text, with the comments around it.
type piece struct {
	text         string
	kind         kind
	line, column int
	above        []comment // on lines of their own, before it
	beside       string    // behind it, on its line
	gap          bool      // a blank line stands before it, or before its first comment
}

// comment is a line that begins with //.
type comment struct {
	text string
	gap  bool // a blank line stands before it
}

type kind int

const (
	word kind = iota
	number
	text
	sign
	end
)

// signs are the signs of Cedar and its schemas, the longer ones first.
var signs = []string{"::", "==", "!=", "<=", ">=", "&&", "||", "@", ".", ",", ";", "(", ")", "{", "}", "[", "]", "+", "-", "*", ":", "!", "<", ">", "=", "?"}

// scan splits Cedar text into tokens and keeps its comments. The last one is
// the end, which holds the comments behind everything.
func scan(file, src string) ([]piece, *Problem) {
	var all []piece
	var above []comment
	line, newlines := 1, 2
	counted, runes := 0, 0 // of this line, so that a long one is counted once
	column := func(i int) int {
		runes += utf8.RuneCountInString(src[counted:i])
		counted = i
		return runes + 1
	}
	gap := func() bool { return newlines >= 2 && (len(all) > 0 || len(above) > 0) }
	add := func(k kind, from, to int) {
		p := piece{text: src[from:to], kind: k, line: line, column: column(from), above: above, gap: gap()}
		if len(above) > 0 {
			p.gap = above[0].gap
			if newlines >= 2 {
				p.above = append(p.above, comment{}) // a blank line between the comment and what it stands above
			}
		}
		all, above, newlines = append(all, p), nil, 0
	}
	for i := 0; i < len(src); {
		c := src[i]
		switch {
		case c == '\n':
			line, counted, runes, newlines = line+1, i+1, 0, newlines+1
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(src[i:], "//"):
			to := len(src)
			if n := strings.IndexByte(src[i:], '\n'); n >= 0 {
				to = i + n
			}
			said := strings.TrimRight(src[i:to], " \t\r")
			if newlines == 0 && len(all) > 0 && len(above) == 0 && all[len(all)-1].beside == "" {
				all[len(all)-1].beside = said
			} else {
				above = append(above, comment{said, gap()})
			}
			newlines, i = 0, to
		case c == '"':
			to := i + 1
			for to < len(src) && src[to] != '"' && src[to] != '\n' {
				if src[to] == '\\' {
					to++
				}
				to++
			}
			if to >= len(src) || src[to] != '"' {
				return nil, &Problem{File: file, Line: line, Column: column(i), Message: "a text is not closed", Advice: `end it with " on the same line`}
			}
			add(text, i, to+1)
			i = to + 1
		case c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			to := i
			for to < len(src) && (src[to] == '_' || src[to] >= 'a' && src[to] <= 'z' || src[to] >= 'A' && src[to] <= 'Z' || src[to] >= '0' && src[to] <= '9') {
				to++
			}
			add(word, i, to)
			i = to
		case c >= '0' && c <= '9':
			to := i
			for to < len(src) && src[to] >= '0' && src[to] <= '9' {
				to++
			}
			add(number, i, to)
			i = to
		default:
			found := ""
			for _, s := range signs {
				if strings.HasPrefix(src[i:], s) {
					found = s
					break
				}
			}
			if found == "" {
				r, _ := utf8.DecodeRuneInString(src[i:])
				return nil, &Problem{File: file, Line: line, Column: column(i), Message: "the character " + quoted(string(r)) + " has no meaning here", Advice: "put texts between quotation marks, and comments behind //"}
			}
			add(sign, i, i+len(found))
			i += len(found)
		}
	}
	add(end, len(src), len(src))
	return all, nil
}
