package policy

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// find returns line and column of the first place at or after offset where word
// stands by itself outside comments.
func find(text []byte, offset int, word string) (line, column int, ok bool) {
	s := string(text)
	if i := strings.LastIndex(word, "::"); i >= 0 {
		word = word[i+2:]
	}
	if word = strings.Trim(word, `"`); word == "" {
		return 0, 0, false
	}
	for from := offset; from < len(s); {
		i := strings.Index(s[from:], word)
		if i < 0 {
			return 0, 0, false
		}
		i += from
		from = i + len(word)
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[from:])
		start := strings.LastIndexByte(s[:i], '\n') + 1
		if letter(before) || letter(after) || strings.Contains(s[start:i], "//") {
			continue
		}
		return 1 + strings.Count(s[:i], "\n"), 1 + utf8.RuneCountInString(s[start:i]), true
	}
	return 0, 0, false
}

func letter(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// maxNested is how many brackets may stand in one another. Cedar's parser takes
// more memory and time with each, and has no bound of its own.
const maxNested = 100

// shallow reports whether a text may be parsed; it may not where brackets of the
// kinds in open nest too deeply.
func shallow(f File, open, closing string, ps *Problems) bool {
	depth, line, start := 0, 1, 0
	for i := 0; i < len(f.Text); i++ {
		switch b := f.Text[i]; {
		case b == '\n':
			line, start = line+1, i+1
		case b == '"':
			for i++; i < len(f.Text) && f.Text[i] != '"' && f.Text[i] != '\n'; i++ {
				if f.Text[i] == '\\' {
					i++
				}
			}
		case bytes.HasPrefix(f.Text[i:], []byte("//")):
			for i+1 < len(f.Text) && f.Text[i+1] != '\n' {
				i++
			}
		case strings.IndexByte(open, b) >= 0:
			if depth++; depth > maxNested {
				ps.add(f.Name, line, 1+utf8.RuneCount(f.Text[start:i]), "more than %d brackets stand in one another", maxNested)
				return false
			}
		case strings.IndexByte(closing, b) >= 0:
			depth = max(depth-1, 0)
		}
	}
	return true
}
