package policy

import (
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
