package principal_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/cardea-id/cardea/internal/identity/principal"
)

func TestEveryCaseOfEveryLetterIsOneName(t *testing.T) {
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !unicode.IsLetter(r) {
			continue
		}
		key := principal.Canonical(string(r))
		if again := principal.Canonical(key); again != key {
			t.Errorf("%U becomes %q, and that %q", r, key, again)
		}
		// The simple folding of the standard library goes round all cases.
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			if got := principal.Canonical(string(other)); got != key {
				t.Errorf("%U and %U differ: %q and %q", r, other, key, got)
			}
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"Ada", "ａｄａ", "e\u0301", "\u13a0", "\u0130", "stra\u00dfe", "\xff", "\u03a3\u03c3\u03c2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key := principal.Canonical(s)
		if again := principal.Canonical(key); again != key {
			t.Errorf("Canonical(%q) = %q, and of that %q", s, key, again)
		}
		if upper := principal.Canonical(strings.ToUpper(key)); len(s) < 100 && upper != key && isASCII(s) {
			t.Errorf("Canonical(%q) = %q, in capitals %q", s, key, upper)
		}
	})
}

func isASCII(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0 }
