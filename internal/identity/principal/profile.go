package principal

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// Profile holds the standard claims of OpenID Connect Core 1.0, section 5.1,
// that are not columns of their own. Names in JSON are the claims' names.
type Profile struct {
	GivenName           string  `json:"given_name,omitempty"`
	FamilyName          string  `json:"family_name,omitempty"`
	MiddleName          string  `json:"middle_name,omitempty"`
	Nickname            string  `json:"nickname,omitempty"`
	Profile             string  `json:"profile,omitempty"` // URL of a page
	Picture             string  `json:"picture,omitempty"` // URL of an image
	Website             string  `json:"website,omitempty"` // URL
	Gender              string  `json:"gender,omitempty"`
	Birthdate           string  `json:"birthdate,omitempty"` // 1852-12-10, 0000-12-10 or 1852
	Zoneinfo            string  `json:"zoneinfo,omitempty"`  // such as Europe/Paris
	PhoneNumber         string  `json:"phone_number,omitempty"`
	PhoneNumberVerified bool    `json:"phone_number_verified,omitempty"`
	Address             Address `json:"address,omitzero"`
}

// Address is the address claim, OpenID Connect Core 1.0, section 5.1.1.
type Address struct {
	Formatted     string `json:"formatted,omitempty"`
	StreetAddress string `json:"street_address,omitempty"`
	Locality      string `json:"locality,omitempty"`
	Region        string `json:"region,omitempty"`
	PostalCode    string `json:"postal_code,omitempty"`
	Country       string `json:"country,omitempty"`
}

var (
	birthdate = regexp.MustCompile(`^[0-9]{4}(?:-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))?$`)
	zoneinfo  = regexp.MustCompile(`^[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}$`)
	phone     = regexp.MustCompile(`^\+[1-9][0-9 ().-]{4,24}(?:;ext=[0-9]{1,8})?$`)
)

func (p Profile) check() error {
	for field, v := range map[string]string{"given_name": p.GivenName, "family_name": p.FamilyName, "middle_name": p.MiddleName,
		"nickname": p.Nickname, "gender": p.Gender} {
		if !printable(v, 120) {
			return invalid(field, "has at most 120 printable characters")
		}
	}
	for field, v := range map[string]string{"profile": p.Profile, "picture": p.Picture, "website": p.Website} {
		if v != "" && !webAddress(v) {
			return invalid(field, "is an http or https URL")
		}
	}
	if p.Birthdate != "" && !birthdate.MatchString(p.Birthdate) {
		return invalid("birthdate", "is a date like 1852-12-10, or a year")
	}
	if p.Zoneinfo != "" && !zoneinfo.MatchString(p.Zoneinfo) {
		return invalid("zoneinfo", "is a time zone like Europe/Paris")
	}
	if p.PhoneNumber != "" && !phone.MatchString(p.PhoneNumber) {
		return invalid("phone_number", "is a number like +1 (425) 555-1212")
	}
	if p.PhoneNumberVerified && p.PhoneNumber == "" {
		return invalid("phone_number_verified", "needs a phone number")
	}
	a := p.Address
	for field, v := range map[string]string{"address.street_address": a.StreetAddress, "address.locality": a.Locality,
		"address.region": a.Region, "address.postal_code": a.PostalCode, "address.country": a.Country, "address.formatted": a.Formatted} {
		lines := strings.NewReplacer("\r\n", " ", "\n", " ").Replace(v) // the standard allows several lines
		if !printable(lines, 500) {
			return invalid(field, "has at most 500 printable characters")
		}
	}
	return nil
}

func checkLocale(tag string) error {
	if tag == "" {
		return nil
	}
	if _, err := language.Parse(tag); err != nil || len(tag) > 35 {
		return invalid("locale", "is a language tag like en or pt-BR")
	}
	return nil
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= 1000 && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && printable(s, 1000)
}

// printable reports whether s has at most most code points and none that hides,
// breaks lines or changes direction.
func printable(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && !strings.ContainsFunc(s, hidden)
}

// hidden reports whether r is a control, a format character, a line break, a
// private or unassigned code point, or a space that is not U+0020. The joiners
// that some scripts and emoji need are not hidden.
func hidden(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	if r == ' ' || r == zeroWidthJoiner || r == zeroWidthNonJoiner {
		return false
	}
	return !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.Is(unicode.Zs, r)
}
