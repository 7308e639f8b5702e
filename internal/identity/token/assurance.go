package token

import "slices"

// The levels of assurance that acr values name, after SP 800-63B.
const (
	AAL1 = "aal1" // one factor, such as a password
	AAL2 = "aal2" // two factors
	AAL3 = "aal3" // phishing-resistant hardware
)

// Levels lists the levels, weakest first.
func Levels() []string { return []string{AAL1, AAL2, AAL3} }

// Meets reports whether an assurance is at least what is demanded. An unknown
// demand is never met, nor does an unknown assurance meet any.
func Meets(reached, demanded string) bool {
	if demanded == "" {
		return true
	}
	want := slices.Index(Levels(), demanded)
	return want >= 0 && slices.Index(Levels(), reached) >= want
}
