package jose

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"
)

// MaxSkew is the largest clock difference that Claims.Check forgives. iat and
// nbf may always lie this far ahead; exp is only stretched where Expect says so.
const MaxSkew = 60 * time.Second

// Claims are the claims of a token whose signature has been verified.
type Claims struct{ Object }

// Strings returns a member that is a string or a list of strings, as aud may
// be; none if it is absent.
func (o Object) Strings(name string) ([]string, error) {
	raw, ok := o.Raw(name)
	if !ok {
		return nil, nil
	}
	if raw[0] == '"' {
		return []string{unquote(raw)}, nil
	}
	var list []*string
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return nil, bad(ErrClaim, "%s is neither a string nor a list of strings", name)
	}
	texts := make([]string, len(list))
	for i, t := range list {
		if t == nil {
			return nil, bad(ErrClaim, "%s holds null", name)
		}
		texts[i] = *t
	}
	return texts, nil
}

// Int returns a member that is a whole number; zero if it is absent.
func (o Object) Int(name string) (int64, error) {
	raw, ok := o.Raw(name)
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, bad(ErrClaim, "%s is not a whole number", name)
	}
	return n, nil
}

// Time returns a member that is a NumericDate (RFC 7519, section 2) with
// millisecond precision; the zero time if it is absent.
func (o Object) Time(name string) (time.Time, error) {
	raw, ok := o.Raw(name)
	if !ok {
		return time.Time{}, nil
	}
	// Beyond the year 9999 a date is a mistake or an attack on arithmetic.
	secs, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsNaN(secs) || secs < 0 || secs > 253402300799 {
		return time.Time{}, bad(ErrClaim, "%s is not a date", name)
	}
	return time.UnixMilli(int64(math.Round(secs * 1000))).UTC(), nil
}

// Expect says which claims a token of another party must carry. Whatever is
// expected and absent is refused: nothing is skipped for want of a claim.
type Expect struct {
	Now      time.Time
	Issuer   string        // iss must equal it
	Audience []string      // aud must contain at least one of these
	AloneAud bool          // aud must be a string or a list of one, so that the token is for nobody else
	TextAud  bool          // aud must be a string
	Subject  string        // sub must equal it; if empty, sub must still be a non-empty string unless NoSubject
	Skew     time.Duration // how long after exp a token is still taken; at most MaxSkew
	MaxLife  time.Duration // if set: exp may be at most this far from now (plus MaxSkew)
	NoSubject, NoExpiry,
	NeedIssuedAt bool
}

// Check compares the registered claims of RFC 7519, section 4.1 with e. It
// returns an error of kind ErrExpired or ErrClaim.
func (c Claims) Check(e Expect) error {
	e.Skew = min(max(e.Skew, 0), MaxSkew)
	if err := c.checkParties(e); err != nil {
		return err
	}
	return c.checkTimes(e)
}

func (c Claims) checkParties(e Expect) error {
	iss, err := c.String("iss")
	if err != nil {
		return err
	}
	if e.Issuer == "" || iss != e.Issuer {
		return bad(ErrClaim, "iss is not %q", e.Issuer)
	}
	aud, err := c.Strings("aud")
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(e.Audience, func(a string) bool { return a != "" && slices.Contains(aud, a) }) {
		return bad(ErrClaim, "aud does not name %q", e.Audience)
	}
	if e.AloneAud && len(aud) != 1 {
		return bad(ErrClaim, "aud names others too")
	}
	if e.TextAud {
		if _, err := c.String("aud"); err != nil {
			return err
		}
	}
	sub, err := c.String("sub")
	if err != nil {
		return err
	}
	if e.Subject != "" && sub != e.Subject {
		return bad(ErrClaim, "sub is not %q", e.Subject)
	}
	if sub == "" && !e.NoSubject {
		return bad(ErrClaim, "sub is missing")
	}
	return nil
}

func (c Claims) checkTimes(e Expect) error {
	exp, nbf, iat, err := c.times()
	switch {
	case err != nil:
		return err
	case !c.Has("exp") && !e.NoExpiry:
		return bad(ErrClaim, "exp is missing")
	case c.Has("exp") && !e.Now.Before(exp.Add(e.Skew)):
		return ErrExpired
	case e.MaxLife > 0 && exp.After(e.Now.Add(e.MaxLife+MaxSkew)):
		return bad(ErrClaim, "exp is more than %s ahead", e.MaxLife)
	case c.Has("nbf") && nbf.After(e.Now.Add(MaxSkew)):
		return bad(ErrClaim, "nbf lies ahead")
	case !c.Has("iat") && e.NeedIssuedAt:
		return bad(ErrClaim, "iat is missing")
	case c.Has("iat") && iat.After(e.Now.Add(MaxSkew)):
		return bad(ErrClaim, "iat lies ahead")
	}
	return nil
}

// Earliest is the first instant at which Check could have let the claims pass;
// the zero time if they do not say.
func (c Claims) Earliest(e Expect) (time.Time, error) {
	exp, nbf, iat, err := c.times()
	var first time.Time
	later := func(name string, t time.Time) {
		if c.Has(name) && t.After(first) {
			first = t
		}
	}
	later("nbf", nbf.Add(-MaxSkew))
	later("iat", iat.Add(-MaxSkew))
	if e.MaxLife > 0 {
		later("exp", exp.Add(-e.MaxLife-MaxSkew))
	}
	return first, err
}

func (c Claims) times() (exp, nbf, iat time.Time, err error) {
	for name, to := range map[string]*time.Time{"exp": &exp, "nbf": &nbf, "iat": &iat} {
		if *to, err = c.Time(name); err != nil {
			return exp, nbf, iat, err
		}
	}
	return exp, nbf, iat, nil
}
