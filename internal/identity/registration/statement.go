package registration

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// maxStatement bounds a software statement, in bytes.
const maxStatement = 8 << 10

// override lets the claims of a software statement (RFC 7591, section 2.3)
// replace what the client says for itself, and returns who vouched. Only
// issuers whose keys the realm has registered count.
func (p policy) override(all members, statement string, now time.Time) (issuer string, err error) {
	if statement == "" {
		if p.statement {
			return "", fault.New(fault.Invalid, errStatement, "the realm needs a software statement")
		}
		return "", nil
	}
	claims, issuer, err := p.vouched(statement, now)
	if err != nil {
		return "", err
	}
	for _, one := range claims.Members() {
		if about(one.Name) && string(one.Raw) != "null" {
			all[one.Name] = one.Raw
		}
	}
	return issuer, nil
}

// vouched verifies a statement.
func (p policy) vouched(statement string, now time.Time) (jose.Claims, string, error) {
	u, err := jose.Parse(statement, maxStatement)
	if err != nil {
		return jose.Claims{}, "", fault.New(fault.Invalid, errStatement, "the software statement cannot be read")
	}
	i := slices.IndexFunc(p.issuers, func(k realm.KeyIssuer) bool { return k.Issuer == u.Issuer() })
	if i < 0 {
		return jose.Claims{}, "", fault.New(fault.Invalid, errUnapproved, "the realm does not trust the software statement's issuer")
	}
	verified, err := u.Verify(jose.Want{Typ: []string{"", "JWT", "software-statement+jwt"}, Keys: p.issuers[i].Keys, Alg: u.Alg})
	if err != nil {
		return jose.Claims{}, "", fault.New(fault.Invalid, errStatement, "no key of its issuer signed the software statement")
	}
	if err := checkTimes(verified.Claims, now); err != nil {
		return jose.Claims{}, "", fault.New(fault.Invalid, errStatement, "the software statement is not valid at this time")
	}
	return verified.Claims, p.issuers[i].Issuer, nil
}

// checkTimes holds a statement to its times, if it has any: many have none, and
// are for whomever they are shown to.
func checkTimes(c jose.Claims, now time.Time) error {
	for name, wrong := range map[string]func(time.Time) bool{
		"exp": func(t time.Time) bool { return !now.Before(t) },
		"nbf": func(t time.Time) bool { return t.After(now.Add(jose.MaxSkew)) },
		"iat": func(t time.Time) bool { return t.After(now.Add(jose.MaxSkew)) },
	} {
		t, err := c.Time(name)
		if err != nil {
			return err
		}
		if c.Has(name) && wrong(t) {
			return jose.ErrExpired
		}
	}
	return nil
}

// about reports whether a claim describes the client, and not the statement.
func about(claim string) bool {
	return !slices.Contains([]string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "client_secret", "software_statement"}, claim) &&
		!slices.Contains(reserved[:], claim)
}
