package demo

import "testing"

// Only who did not agree is told so.
func TestDeclinedSaysWhatRefused(t *testing.T) {
	for _, c := range []struct{ code, description, want string }{
		{"access_denied", "the person did not agree", "You did not agree, so this application got nothing."},
		{"access_denied", "", "You did not agree, so this application got nothing."},
		{"access_denied", "the account is suspended", "Cardea refused, so this application got nothing: the account is suspended."},
		{"login_required", "nobody is signed in.", "Cardea answered login_required: nobody is signed in."},
		{"server_error", "", "Cardea answered server_error."},
	} {
		if got := declined(c.code, c.description); got != c.want {
			t.Errorf("%s, %q: %s", c.code, c.description, got)
		}
	}
}
