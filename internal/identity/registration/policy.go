package registration

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// policy is what a realm allows applications that its operators have not seen.
type policy struct {
	mode          string
	max           int64
	grantTypes    []string
	methods       []string
	scopes        []string
	resources     []string
	detailTypes   []string
	redirectHosts []string
	pkceOptional  bool
	statement     bool // a software statement is needed
	issuers       []realm.KeyIssuer
}

func policyOf(s *realm.Settings) policy {
	issuers, err := realm.ParseKeyIssuers(s.SoftwareStatementIssuers)
	if err != nil {
		issuers = nil // checked when it was set; whom we cannot read we do not trust
	}
	return policy{
		mode: s.Registration, max: int64(s.RegistrationMaxClients),
		grantTypes: realm.List(s.RegistrationGrantTypes), methods: realm.List(s.RegistrationAuthMethods),
		scopes: realm.List(s.RegistrationScopes), resources: realm.List(s.RegistrationResources), redirectHosts: realm.List(s.RegistrationRedirectHosts),
		detailTypes:  realm.List(s.RegistrationDetailTypes),
		pkceOptional: s.RegistrationPKCE == "optional", statement: s.RegistrationSoftwareStatement == "required", issuers: issuers,
	}
}

// open says whether anybody who comes with this initial access token may
// register at all. Whether the token is good is asked when it is spent.
func (p policy) open(initial secret.Text) error {
	switch {
	case p.mode == realm.RegistrationOpen:
		return nil
	case p.mode != realm.RegistrationToken:
		return closed()
	case initial == "":
		return stranger()
	}
	return nil
}

// check holds what a client says about itself to the policy (CL-06).
func (p policy) check(s *client.Settings) error {
	for _, g := range s.GrantTypes {
		if !slices.Contains(p.grantTypes, g) {
			return invalid("grant_types", "the realm does not let clients register for %q", g)
		}
	}
	if !slices.Contains(p.methods, string(s.AuthMethod)) {
		return invalid("token_endpoint_auth_method", "the realm does not let clients register for %q", s.AuthMethod)
	}
	for _, scope := range s.Scopes {
		if !slices.Contains(p.scopes, scope) {
			return invalid("scope", "the realm does not let clients register for %q", scope)
		}
	}
	for _, uri := range slices.Concat(s.RedirectURIs, s.PostLogoutRedirectURIs) {
		if !p.leads(uri) {
			return fault.New(fault.Invalid, errRedirect, "redirect_uris: the realm does not let clients register addresses like %q", uri)
		}
	}
	for _, name := range s.DetailTypes {
		if !slices.Contains(p.detailTypes, name) {
			return invalid("authorization_details_types", "the realm does not let clients register for %q", name)
		}
	}
	for name, uri := range told(s) {
		if !p.leads(uri) {
			return invalid(name, "the realm does not let clients register addresses like %q", uri)
		}
	}
	return nil
}

// told are the addresses beside the redirect URIs at which a client is told
// something, or a person's browser is led, by their names in metadata.
func told(s *client.Settings) map[string]string {
	all := map[string]string{"backchannel_logout_uri": s.BackChannelLogoutURI, "frontchannel_logout_uri": s.FrontChannelLogoutURI,
		"backchannel_client_notification_endpoint": s.NotificationEndpoint}
	maps.DeleteFunc(all, func(_, uri string) bool { return uri == "" })
	return all
}

// leads reports whether answers may go to a URI: to its host, or for an
// application of its own on a device to its scheme.
func (p policy) leads(uri string) bool {
	scheme, rest, _ := strings.Cut(uri, "://")
	if scheme != "https" && scheme != "http" {
		scheme, _, _ = strings.Cut(uri, ":")
		return slices.Contains(p.redirectHosts, "*") || slices.Contains(p.redirectHosts, scheme+":")
	}
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		rest = rest[:i]
	}
	host := rest
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, ']') {
		host = rest[:i]
	}
	return realm.ListsHost(p.redirectHosts, host)
}

// The words of RFC 7591, section 3.2.2.
const (
	errRedirect   = "invalid_redirect_uri"
	errMetadata   = "invalid_client_metadata"
	errStatement  = "invalid_software_statement"
	errUnapproved = "unapproved_software_statement"
)

func invalid(field, format string, args ...any) *fault.Error {
	code := errMetadata
	if field == "redirect_uris" || field == "post_logout_redirect_uris" {
		code = errRedirect
	}
	return fault.New(fault.Invalid, code, "%s: %s", field, fmt.Sprintf(format, args...))
}

// words puts whatever makes a client's settings invalid into the words of RFC
// 7591, whoever found it.
func words(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Invalid || slices.Contains([]string{errRedirect, errMetadata, errStatement, errUnapproved}, f.Code) {
		return err
	}
	code := errMetadata
	var said []string
	if len(f.Fields) == 0 {
		said = append(said, f.Detail)
	}
	for _, field := range slices.Sorted(maps.Keys(f.Fields)) {
		if strings.HasSuffix(field, "redirect_uris") {
			code = errRedirect
		}
		name := field
		if name == "name" {
			name = "client_name"
		}
		if name == "scopes" {
			name = "scope"
		}
		said = append(said, name+": "+f.Fields[field])
	}
	return fault.New(fault.Invalid, code, "%s", strings.Join(said, "; "))
}
