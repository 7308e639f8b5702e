package trust

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

// Bounds of an issuer's record.
const (
	maxName     = 100 // characters
	maxIssuer   = 500 // bytes
	maxURI      = 1000
	maxJWKS     = 32 << 10
	maxList     = 50
	maxWord     = 500 // bytes of one entry of a list
	maxSubject  = 255 // bytes (OpenID Connect Core, section 2)
	defaultLife = 5 * 60
	maxLife     = 24 * 60 * 60
)

// administration is the scope of the admin API. Nobody else's word opens that.
const administration = "cardea:admin"

// Defaults fills in what was left empty.
func (s *Settings) Defaults() {
	if s.Name == "" {
		s.Name = clip(s.Issuer, maxName)
	}
	if len(s.Algorithms) == 0 {
		s.Algorithms = Algorithms()
	}
	if s.MaxLife == 0 {
		s.MaxLife = defaultLife
	}
}

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// validate says everything that is wrong as one fault.Invalid. ours is the
// realm's own issuer, which needs no trust.
func (s *Settings) validate(ours string) error {
	p := &problems{}
	if n := utf8.RuneCountInString(s.Name); n == 0 || n > maxName || strings.ContainsFunc(s.Name, unprintable) {
		p.add("name", "must have 1 to %d printable characters", maxName)
	}
	if s.Issuer == "" || len(s.Issuer) > maxIssuer || strings.ContainsFunc(s.Issuer, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p.add("issuer", "is the iss of its tokens: 1 to %d visible ASCII characters", maxIssuer)
	}
	if s.Issuer == ours {
		p.add("issuer", "is this realm's own")
	}
	s.checkKeys(p)
	checkWords(p, "algorithms", s.Algorithms, func(v string) bool { return slices.Contains(Algorithms(), v) }, "must be ES256, RS256, PS256 or EdDSA")
	uses := make([]string, len(s.Uses))
	for i, u := range s.Uses {
		uses[i] = string(u)
	}
	checkWords(p, "uses", uses, func(v string) bool { return slices.Contains(Uses(), Use(v)) }, "must be token_exchange, jwt_bearer, id_jag or login_hint")
	checkWords(p, "audiences", s.Audiences, func(v string) bool { return !strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) }, "must be visible ASCII characters")
	checkWords(p, "scopes", s.Scopes, validScope, "is not a scope (RFC 6749, appendix A.4)")
	if slices.Contains(s.Scopes, administration) {
		p.add("scopes", "administration is not had on somebody else's word")
	}
	if s.MaxLife < 1 || s.MaxLife > maxLife {
		p.add("max_life", "must be between 1 and %d seconds", maxLife)
	}
	return p.error()
}

func (s *Settings) checkKeys(p *problems) {
	if (s.JWKS == "") == (s.JWKSURI == "") {
		p.add("jwks", "give either jwks or jwks_uri")
		return
	}
	if s.JWKS != "" {
		if len(s.JWKS) > maxJWKS {
			p.add("jwks", "is larger than %d bytes", maxJWKS)
		} else if _, err := credential.ParseKeys([]byte(s.JWKS)); err != nil {
			p.add("jwks", "%s", err)
		}
		return
	}
	u, err := url.Parse(s.JWKSURI)
	if err != nil || len(s.JWKSURI) > maxURI || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		p.add("jwks_uri", "must be an https address without user and fragment")
	}
}

func checkWords(p *problems, field string, list []string, good func(string) bool, why string) {
	if len(list) > maxList {
		p.add(field, "has more than %d entries", maxList)
		return
	}
	for i, v := range list {
		switch {
		case v == "" || len(v) > maxWord || !good(v):
			p.add(field, "%q %s", clip(v, 80), why)
		case slices.Contains(list[:i], v):
			p.add(field, "%q is listed twice", v)
		}
	}
}

func validScope(v string) bool {
	return len(v) <= 128 && !strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// validSubject reports whether s can be the sub of a token.
func validSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && utf8.ValidString(s) && !strings.ContainsFunc(s, unprintable)
}

// problems collects what is wrong, field by field.
type problems struct{ err *fault.Error }

func (p *problems) add(field, format string, args ...any) {
	if p.err == nil {
		p.err = fault.New(fault.Invalid, "invalid_issuer_settings", "the issuer's settings are not allowed; see the fields")
	}
	if _, said := p.err.Fields[field]; !said {
		p.err.WithField(field, fmt.Sprintf(format, args...))
	}
}

func (p *problems) error() error {
	if p.err == nil {
		return nil
	}
	return p.err
}
