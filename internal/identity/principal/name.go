package principal

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Canonical is the form in which names and e-mail addresses are compared:
// normalised (NFKC) and case-folded, so that two that look alike but for width,
// composition or case are one.
func Canonical(s string) string {
	return norm.NFKC.String(cases.Fold().String(strings.Map(cherokeeCapital, norm.NFKC.String(s))))
}

// cherokeeCapital turns small Cherokee letters into capitals. Unicode folds
// Cherokee to capitals; x/text turns each case into the other one instead, so
// that without this step two spellings of one name would differ.
func cherokeeCapital(r rune) rune {
	switch {
	case r >= 0xab70 && r <= 0xabbf:
		return r - 0xab70 + 0x13a0
	case r >= 0x13f8 && r <= 0x13fd:
		return r - 0x13f8 + 0x13f0
	}
	return r
}

// space keeps apart what may be called the same. Everything people sign in
// with is in one space.
func (k Kind) space() string {
	if k == Person {
		return "sign-in"
	}
	return string(k)
}

// checkName accepts usernames of people and names of everything else. A
// username has no "@", so that it never is somebody else's e-mail address, and
// no spaces.
func checkName(k Kind, name string) error {
	key := Canonical(name)
	if k == Person {
		if utf8.RuneCountInString(name) > 64 || len(key) > 128 || !utf8.ValidString(name) || strings.ContainsFunc(key, notInUsername) ||
			!wordRune(firstRune(key)) || !singleScript(key) {
			return invalid("username", `has at most 64 letters, digits and . _ - + of one script and begins with a letter or digit; an e-mail address is added as such`)
		}
		return nil
	}
	if !printable(name, 120) || len(key) > 480 || strings.TrimSpace(name) != name || strings.Contains(name, "  ") || !singleScript(key) {
		return invalid("name", "has at most 120 printable characters of one script, without spaces at its ends")
	}
	return nil
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) }

func notInUsername(r rune) bool { return !wordRune(r) && !strings.ContainsRune("._-+", r) }

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// mixable are the sets of scripts that one name may use together: those that
// one language is written in, as in the highly restrictive level of Unicode
// Technical Standard 39, section 5.2. Latin with Cyrillic or Greek is not among
// them, for their letters look alike.
var mixable = [][]string{
	{"Latin", "Han", "Hiragana", "Katakana"},
	{"Latin", "Han", "Bopomofo"},
	{"Latin", "Han", "Hangul"},
}

// singleScript reports whether the letters of s are of one script, or of a set
// that belongs together.
func singleScript(s string) bool {
	used := map[string]bool{}
	for _, r := range s {
		if name := scriptOf(r); name != "Common" && name != "Inherited" {
			used[name] = true
		}
	}
	if len(used) < 2 {
		return true
	}
	for _, set := range mixable {
		left := len(used)
		for _, name := range set {
			if used[name] {
				left--
			}
		}
		if left == 0 {
			return true
		}
	}
	return false
}

func scriptOf(r rune) string {
	switch {
	case r < 0x80 && !unicode.IsLetter(r):
		return "Common"
	case unicode.Is(unicode.Latin, r):
		return "Latin"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "Common"
}

// checkEmail accepts addresses of RFC 5321 with a dot-atom before the "@",
// letters beyond ASCII included (RFC 6531), and a domain name behind it.
func checkEmail(address string) error {
	local, domain, ok := cutLast(address, "@")
	key := Canonical(address)
	if !ok || len(local) > 64 || len(address) > 254 || len(key) > 320 || !utf8.ValidString(address) || strings.Count(key, "@") != 1 ||
		strings.ContainsFunc(local, notInLocalPart) || strings.ContainsFunc(Canonical(local), notInLocalPart) || dotted(local) || !domainName(domain) {
		return invalid("email", "is an address like ada@example.com; a domain beyond ASCII is written in its xn-- form")
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func notInLocalPart(r rune) bool {
	return !wordRune(r) && !strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", r)
}

func dotted(local string) bool {
	return local == "" || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..")
}

func domainName(domain string) bool {
	if domain == "" || len(domain) > 253 {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}
