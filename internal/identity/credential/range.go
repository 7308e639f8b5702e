package credential

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
)

// Range asks a service whether a password is known from breaches without telling
// it which: it gets the first five hexadecimal digits of the SHA-1 and answers
// with the rest of every hash that begins so, a line each, with a count behind a
// colon ("Have I Been Pwned: Pwned Passwords", searching by range).
type Range struct {
	// Get fetches the list for five digits.
	Get func(ctx context.Context, digits string) ([]byte, error)
	// Closed refuses every password while the service does not answer; else they
	// pass.
	Closed bool
}

// rangeDigits are told to the service.
const rangeDigits = 5

// ranged refuses a password that the service knows.
func (p *Passwords) ranged(ctx context.Context, password string) error {
	if p.service == nil {
		return nil
	}
	sum := sha1.Sum([]byte(password))
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	list, err := p.service.Get(ctx, digits[:rangeDigits])
	if err != nil {
		if p.service.Closed {
			return fault.New(fault.Unavailable, "breach_service_unavailable", "whether the password is known from a breach cannot be found out now, try again later")
		}
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(list))
	for lines.Scan() {
		rest, count, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if strings.EqualFold(rest, digits[rangeDigits:]) && strings.TrimSpace(count) != "0" { // 0 is padding
			return refuse("password_breached", "this password is known from a breach of another site")
		}
	}
	return nil
}
