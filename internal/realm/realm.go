// Package realm owns the realms: who issues, under which name and address, and
// by which settings. A realm has its own people, clients, keys and log; its
// name is the first column of every table. What a realm contains is the
// business of the packages above.
package realm

import (
	"context"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/fault"
)

// Default is the name of the realm that is served at the issuer URL itself.
const Default = "default"

// State says whether a realm issues. Only an active one does.
type State string

// The states of a realm.
const (
	Active  State = "active"
	Deleted State = "deleted" // final: nothing under it is alive, its name stays taken
)

// Realm is an issuer. Values are shared by all requests: do not change them.
type Realm struct {
	// Name is the key of the realm in every table. It never changes and is never
	// given to another realm.
	Name        string
	DisplayName string
	// Host is the host name (with port, if not the scheme's own) under which the
	// realm is served alone, or "". Realms that distrust each other need a host
	// each, since paths share a browser origin.
	Host string
	// Issuer is the issuer URL, without a trailing slash.
	Issuer string
	// Path is the path of Issuer: what every URL of the realm begins with.
	Path      string
	Settings  Settings
	State     State
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// New describes a realm to be made.
type New struct {
	Name        string         // 1 to 40 of a-z, 0-9 and "-", beginning with a letter
	DisplayName string         // what people read; empty means the name
	Host        string         // see Realm.Host
	Settings    map[string]any // by the names of Settings; what is missing has its default
}

// Change says what to change about a realm. Nil leaves a field as it is.
type Change struct {
	DisplayName *string
	Host        *string
	// Settings replaces the settings it names. A nil value returns a setting to
	// its default.
	Settings map[string]any
}

var namePattern = regexp.MustCompile(`^[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?$`)

func checkName(name string) error {
	if !namePattern.MatchString(name) || strings.Contains(name, "--") {
		return fault.New(fault.Invalid, "realm_name_invalid", "a realm's name has 1 to 40 characters of a-z, 0-9 and single hyphens, and begins with a letter").
			WithField("name", "1 to 40 of a-z, 0-9 and hyphens")
	}
	return nil
}

func checkDisplayName(s string) error {
	bad := func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
	if s == "" || utf8.RuneCountInString(s) > 120 || !utf8.ValidString(s) || strings.ContainsFunc(s, bad) || strings.TrimSpace(s) != s {
		return fault.New(fault.Invalid, "display_name_invalid", "a display name has 1 to 120 printable characters").
			WithField("display_name", "1 to 120 printable characters")
	}
	return nil
}

var hostPattern = regexp.MustCompile(`^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?::[1-9][0-9]{0,4})?$`)

// checkHost accepts what a browser sends in Host for an https URL.
func checkHost(host string) error {
	if host != "" && (len(host) > 253 || !hostPattern.MatchString(host) || strings.HasSuffix(host, ":443")) {
		return fault.New(fault.Invalid, "host_invalid", "%q is not a host name in lower case, with a port only if it is not 443", host).
			WithField("host", "a host name in lower case")
	}
	return nil
}

// Key is the key under which a context carries a [*Realm].
type Key struct{}

// With returns a context that carries r, for handlers below the router.
func With(ctx context.Context, r *Realm) context.Context {
	return context.WithValue(ctx, Key{}, r)
}

// From returns the realm that With put into ctx, or nil.
func From(ctx context.Context) *Realm {
	r, _ := ctx.Value(Key{}).(*Realm)
	return r
}

// IssuerFrom is the issuer of the realm that With put into ctx, or "".
func IssuerFrom(ctx context.Context) string {
	if r := From(ctx); r != nil {
		return r.Issuer
	}
	return ""
}
