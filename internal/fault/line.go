package fault

import "strings"

const mostLine = 400 // bytes

// Line is a stranger's word, fit for a line of an error: short, and without control
// characters.
func Line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > mostLine {
		s = strings.ToValidUTF8(s[:mostLine], "") + "…"
	}
	return strings.TrimSpace(s)
}
