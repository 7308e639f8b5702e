package credential

import (
	_ "embed"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

//go:generate go run generate_blocklist.go $PASSWORDS

// commonPasswords are sorted lines in lower case, with a line break before the
// first and after the last. It is searched as it lies in the binary, so that it
// costs no time at start.
//
//go:embed blocklist/passwords.txt
var commonPasswords string

// listed reports whether word is a line of the list.
func listed(word string) bool {
	if word == "" || strings.Contains(word, "\n") {
		return false
	}
	// The first offset whose line is not below word: offsets inside a line count
	// for the line after it.
	at := sort.Search(len(commonPasswords), func(i int) bool { return lineAfter(i) >= word })
	return lineAfter(at) == word
}

// lineAfter returns the line behind the first line break at or after offset i;
// behind the last one it returns what sorts above every line.
func lineAfter(i int) string {
	const above = "\xff"
	if i >= len(commonPasswords) {
		return above
	}
	n := strings.IndexByte(commonPasswords[i:], '\n')
	if n < 0 || i+n+1 == len(commonPasswords) {
		return above
	}
	line := commonPasswords[i+n+1:]
	return line[:strings.IndexByte(line, '\n')]
}

// common reports whether folded, a password in lower case, is on the list, or is
// a listed one in thin disguise: digits and signs put around it, letters
// replaced by digits that look alike, or the same word over and over.
func common(folded string) bool {
	if commonWord(folded) || ascending(folded) {
		return true
	}
	core := strings.TrimFunc(folded, decoration)
	before, after, _ := strings.Cut(folded, core)
	if core == "" || core == folded || !predictable(before) || !predictable(after) {
		return false
	}
	// A short core with a few signs around it is no password of its own: what is
	// listed must make up the bulk of it, or what is around must be listed too.
	return utf8.RuneCountInString(core) >= 4 && commonWord(core)
}

// decoration is what people put before and after a word.
func decoration(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && r < 0x2000 }

// predictable reports whether the signs around a word add next to nothing:
// few, a listed number, or digits in order.
func predictable(around string) bool {
	digits := strings.TrimFunc(around, func(r rune) bool { return r < '0' || r > '9' })
	return utf8.RuneCountInString(around) <= 8 || listed(digits) || ascending(digits)
}

// ascending reports whether s is digits that count up or down, such as
// 1234567890123.
func ascending(s string) bool {
	if len(s) < 4 {
		return false
	}
	step := (int(s[1]) - int(s[0]) + 10) % 10
	if step != 1 && step != 9 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || i > 0 && (int(s[i])-int(s[i-1])+10)%10 != step {
			return false
		}
	}
	return true
}

// commonWord reports whether word is listed, as it is or spelled plainly, or is
// a listed word of at least four different characters repeated.
func commonWord(word string) bool {
	for _, w := range []string{word, plainL.Replace(word), plainI.Replace(word)} {
		if listed(w) {
			return true
		}
		if unit := repeated(w); unit != "" && varied(unit) && listed(unit) {
			return true
		}
	}
	return false
}

var (
	plainL = strings.NewReplacer("0", "o", "1", "l", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")
	plainI = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")
)

// repeated returns the shortest string that s is two or more copies of, or "".
func repeated(s string) string {
	if at := strings.Index((s + s)[min(1, len(s)):], s) + 1; at > 0 && at < len(s) {
		return s[:at]
	}
	return ""
}

func varied(s string) bool {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen) >= 4
}
