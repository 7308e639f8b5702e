package letter

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/identity/principal"
)

// mostData bounds one argument of a letter, in code points.
const mostData = 200

// plain is a text of others without what could end a line, hide something or
// turn what follows around.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if utf8.RuneCountInString(s) > mostData {
		s = string([]rune(s)[:mostData-1]) + "…"
	}
	return strings.TrimSpace(s)
}

// greetable is the name to greet a person by, or "" where what they call
// themselves is nothing that anybody is called. Mail programs make links of
// what looks like an address, so a name that does is not repeated.
func greetable(p *principal.Principal) string {
	for _, name := range []string{p.Profile.GivenName, p.DisplayName, strings.TrimSpace(p.Profile.GivenName + " " + p.Profile.FamilyName)} {
		if name != "" && likeAName(name) {
			return name
		}
	}
	return ""
}

func likeAName(s string) bool {
	if utf8.RuneCountInString(s) > 60 {
		return false
	}
	runes := []rune(s)
	for i, r := range runes {
		switch {
		case unicode.IsLetter(r) || unicode.IsMark(r) || r == ' ' || r == '-' || r == '\'' || r == '’':
		case r == '.' && (i+1 == len(runes) || runes[i+1] == ' '):
		default:
			return false
		}
	}
	return true
}
