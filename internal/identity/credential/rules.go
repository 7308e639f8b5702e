package credential

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// Bounds of passwords, in code points after normalisation.
const (
	// MaxPasswordLength is what is accepted, all of it significant; more is
	// refused before it is hashed.
	MaxPasswordLength = 128
	// minWithSecondFactor is enough where a second factor is enforced.
	minWithSecondFactor = 8
	// newCharacters is how much a password must hold besides words that go with
	// its owner or the realm.
	newCharacters = 8
	// shortestContext is the length from which such words count.
	shortestContext = 4
	// maxPasswordBytes bounds a password before it is looked at: 128 code points
	// with room for decomposed letters.
	maxPasswordBytes = 128 * 4 * 4
)

// Rules say what a new password must be like. There are no rules of
// composition, and passwords do not expire.
type Rules struct {
	// MinLength in code points where the password is the only factor.
	MinLength int
	// SecondFactor says that the realm enforces a second factor, so that 8 code
	// points are enough.
	SecondFactor bool
	// Context are words that go with the owner and the realm: usernames, local
	// parts of e-mail addresses, names of the organization and the realm.
	Context []string
	// Breached are passwords known from breaches, or nil.
	Breached *Breaches
}

// Check normalises a new password (NFC) and returns it as it is to be hashed.
// What it finds wrong is fault.Invalid with one of the codes
// password_too_short, password_too_long, password_invalid, password_common,
// password_context and password_breached.
func (r Rules) Check(password string) (string, error) {
	password, err := normalise(password)
	if err != nil {
		return "", err
	}
	least := r.MinLength
	if r.SecondFactor {
		least = minWithSecondFactor
	}
	if utf8.RuneCountInString(password) < least {
		return "", refuse("password_too_short", "a password has at least %d characters", least)
	}
	folded := principal.Canonical(password)
	if common(folded) {
		return "", refuse("password_common", "this password, or one very much like it, is among those that everybody tries first")
	}
	if r.contextual(folded) {
		return "", refuse("password_context", "this password is made of names that go with the account")
	}
	if r.Breached != nil {
		found, err := r.Breached.Contain(password)
		if err != nil {
			return "", err
		}
		if found {
			return "", refuse("password_breached", "this password is known from a breach of another site")
		}
	}
	return password, nil
}

// contextual reports whether a password holds little else than words that an
// attacker who knows the account tries, and digits and signs between them.
func (r Rules) contextual(folded string) bool {
	rest := folded
	for _, phrase := range r.Context {
		whole := principal.Canonical(phrase)
		words := append([]string{whole, strings.ReplaceAll(whole, " ", "")}, strings.FieldsFunc(whole, decoration)...)
		for _, w := range words {
			if utf8.RuneCountInString(w) >= shortestContext {
				rest = strings.ReplaceAll(rest, w, "\x00")
			}
		}
	}
	if rest == folded {
		return false
	}
	n := 0
	for _, c := range rest {
		if unicode.IsLetter(c) || c >= 0x2000 {
			n++
		}
	}
	return n < newCharacters && digits(rest) < newCharacters+4
}

func digits(s string) int {
	n := 0
	for _, c := range s {
		if unicode.IsDigit(c) {
			n++
		}
	}
	return n
}

// normalise brings a password into the form in which it is hashed and checked,
// however the keyboard composed it.
func normalise(password string) (string, error) {
	if len(password) > maxPasswordBytes {
		return "", tooLong()
	}
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return "", refuse("password_invalid", "a password is made of Unicode characters")
	}
	password = norm.NFC.String(password)
	if utf8.RuneCountInString(password) > MaxPasswordLength {
		return "", tooLong()
	}
	return password, nil
}

func tooLong() error {
	return refuse("password_too_long", "a password has at most %d characters", MaxPasswordLength)
}

func refuse(code, format string, args ...any) error {
	err := fault.New(fault.Invalid, code, format, args...)
	return err.WithField("password", err.Detail)
}
