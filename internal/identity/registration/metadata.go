package registration

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/secret"
)

// maxSoftware bounds software_id and software_version, in characters.
const maxSoftware = 200

// asWritten are the members that mean in metadata what they mean in a client's
// settings, by the same name. A new setting that clients may choose for
// themselves is one more word here.
var asWritten = [...]string{
	"redirect_uris", "post_logout_redirect_uris", "grant_types", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "jwks_uri",
	"tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip", "tls_client_auth_san_email",
	"tls_client_certificate_bound_access_tokens", "dpop_bound_access_tokens",
	"id_token_signed_response_alg", "userinfo_signed_response_alg", "introspection_signed_response_alg",
	"request_object_signing_alg", "request_uris", "require_signed_request_object", "require_pushed_authorization_requests",
	"authorization_signed_response_alg", "response_modes", "authorization_details_types",
	"backchannel_token_delivery_mode", "backchannel_client_notification_endpoint", "backchannel_authentication_request_signing_alg",
	"backchannel_logout_uri", "backchannel_logout_session_required", "frontchannel_logout_uri", "frontchannel_logout_session_required",
	"subject_type", "default_max_age", "require_auth_time", "contacts", "client_uri", "policy_uri", "tos_uri",
}

// cannot are members that ask for what we do not do. To leave them out
// silently would let a client believe in it.
var cannot = [...]string{
	"id_token_encrypted_response_alg", "id_token_encrypted_response_enc", "userinfo_encrypted_response_alg",
	"userinfo_encrypted_response_enc", "request_object_encryption_alg", "request_object_encryption_enc", "introspection_encrypted_response_alg",
	"introspection_encrypted_response_enc", "authorization_encrypted_response_alg", "authorization_encrypted_response_enc",
}

// reserved are members of answers that an update must not send back (RFC 7592,
// section 2.2).
var reserved = [...]string{"registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at"}

// metadata is what a client says about itself (RFC 7591, section 2; OpenID
// Connect Dynamic Client Registration, section 2), read and held to a policy.
type metadata struct {
	settings client.Settings
	software Software
	vouched  string // the issuer of its software statement, or ""
	clientID string
	secret   secret.Text
}

// members are the members of a JSON object by name. Null stands for absence.
type members map[string][]byte

func (m members) add(o jose.Object) {
	for _, one := range o.Members() {
		if string(one.Raw) != "null" {
			m[one.Name] = one.Raw
		}
	}
}

// text reads a member that is a string.
func (m members) text(name string) (string, error) {
	raw, ok := m[name]
	if !ok {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", invalid(name, "is not a string")
	}
	return s, nil
}

// read reads metadata, lets a software statement override it, and holds the
// result to the policy. Members that we do not know are ignored, as section 2
// of RFC 7591 asks.
func (p policy) read(body []byte, now time.Time) (metadata, error) {
	m, all, err := readMembers(body)
	if err != nil {
		return metadata{}, err
	}
	if m.vouched, err = p.override(all, m.software.Statement, now); err != nil {
		return metadata{}, err
	}
	if m.settings, err = settings(all); err != nil {
		return metadata{}, err
	}
	if m.software, err = software(all, m.software.Statement); err != nil {
		return metadata{}, err
	}
	if err = m.software.sector(all, &m.settings); err != nil {
		return metadata{}, err
	}
	return m, p.finish(&m.settings)
}

// readMembers reads what is not a setting, and gives the rest by name.
func readMembers(body []byte) (m metadata, all members, err error) {
	o, err := jose.ParseObject(body)
	if err != nil {
		return m, nil, fault.New(fault.Invalid, errMetadata, "the metadata cannot be read: %s", strings.TrimPrefix(err.Error(), jose.ErrMalformed.Error()+": "))
	}
	all = members{}
	all.add(o)
	for _, name := range reserved {
		if _, ok := all[name]; ok {
			return m, nil, invalid(name, "is the server's to say")
		}
	}
	if m.clientID, err = all.text("client_id"); err != nil {
		return m, nil, err
	}
	own, err := all.text("client_secret")
	if err != nil {
		return m, nil, err
	}
	m.secret = secret.Text(own)
	m.software.Statement, err = all.text("software_statement")
	return m, all, err
}

func software(all members, statement string) (s Software, err error) {
	s.Statement = statement
	for name, to := range map[string]*string{"software_id": &s.ID, "software_version": &s.Version} {
		if *to, err = all.text(name); err != nil {
			return s, err
		}
		if utf8.RuneCountInString(*to) > maxSoftware || strings.ContainsFunc(*to, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return s, invalid(name, "must have at most %d printable characters", maxSoftware)
		}
	}
	return s, nil
}

// settings are the client's settings that metadata ask for, with the defaults
// of RFC 7591 and OpenID Connect.
func settings(all members) (s client.Settings, err error) {
	for _, name := range cannot {
		if _, ok := all[name]; ok {
			return s, invalid(name, "is not supported")
		}
	}
	s = client.Settings{AuthMethod: client.SecretBasic, GrantTypes: []string{client.AuthorizationCode}, OpenIDDefaults: true}
	for _, name := range asWritten {
		raw, ok := all[name]
		if !ok {
			continue
		}
		if err := json.Unmarshal(slices.Concat([]byte(`{"`+name+`":`), raw, []byte(`}`)), &s); err != nil {
			return s, invalid(name, "has the wrong shape")
		}
	}
	if len(s.GrantTypes) == 0 {
		s.GrantTypes = []string{client.AuthorizationCode}
	}
	scope, err := all.text("scope")
	if err != nil {
		return s, err
	}
	s.Scopes = strings.Fields(scope)
	if raw, ok := all["jwks"]; ok {
		if raw[0] != '{' {
			return s, invalid("jwks", "is not a JSON Web Key Set")
		}
		s.JWKS = string(raw)
	}
	if err := responseTypes(all, &s); err != nil {
		return s, err
	}
	if s.Type, err = kind(all, &s); err != nil {
		return s, err
	}
	s.Name, err = all.text("client_name")
	if s.Name == "" {
		s.Name = "Application without a name"
	}
	return s, err
}

// responseTypes compares response_types with the grant types (RFC 7591, section
// 2.1).
func responseTypes(all members, s *client.Settings) error {
	raw, ok := all["response_types"]
	if !ok {
		return nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return invalid("response_types", "has the wrong shape")
	}
	for _, v := range list {
		if v != "code" {
			return invalid("response_types", "only code is supported")
		}
	}
	if len(list) > 0 != s.AllowsGrant(client.AuthorizationCode) {
		return invalid("response_types", "do not fit the grant types")
	}
	return nil
}

// kind finds out what kind of application this is. OpenID Connect calls one of
// its own on a device native; for those that do not say, their addresses do.
func kind(all members, s *client.Settings) (client.Type, error) {
	named, err := all.text("application_type")
	if err != nil {
		return "", err
	}
	local := slices.ContainsFunc(s.RedirectURIs, func(uri string) bool { return !strings.HasPrefix(uri, "https://") })
	switch {
	case named != "" && named != "web" && named != "native":
		return "", invalid("application_type", "must be web or native")
	case !s.AllowsGrant(client.AuthorizationCode):
		return client.Service, nil
	case named == "native", named == "" && local:
		return client.Native, nil
	case s.AuthMethod == client.None:
		return client.SPA, nil
	}
	return client.Web, nil
}

// finish adds what the realm decides and holds all of it to the policy.
func (p policy) finish(s *client.Settings) error {
	if len(s.Scopes) == 0 {
		s.Scopes = slices.Clone(p.scopes)
		if s.Type == client.Service {
			s.Scopes = slices.DeleteFunc(s.Scopes, personal)
		}
	}
	s.Resources = slices.Clone(p.resources)
	s.PKCEOptional = p.pkceOptional && !s.Public()
	s.Defaults() // before the policy is asked, so that nothing comes in behind it
	if err := p.check(s); err != nil {
		return err
	}
	return words(s.Validate())
}

// personal reports whether a scope is about people, of whom a service has none.
func personal(scope string) bool {
	return slices.Contains([]string{"openid", "profile", "email", "address", "phone", "offline_access"}, scope)
}

// JSON is the registration as RFC 7591, section 3.2.1 answers it, with what was
// registered in place of what was asked for. uri is the address of this
// registration.
func (g Registration) JSON(uri string) ([]byte, error) {
	written, err := json.Marshal(g.Settings)
	if err != nil {
		return nil, err
	}
	var have map[string]json.RawMessage
	if err := json.Unmarshal(written, &have); err != nil {
		return nil, err
	}
	said := map[string]any{}
	for _, name := range asWritten {
		if raw, ok := have[name]; ok {
			said[name] = raw
		}
	}
	said["client_id"], said["client_name"], said["scope"] = g.ID, g.Name, strings.Join(g.Scopes, " ")
	said["client_id_issued_at"] = g.Created.Unix()
	said["registration_client_uri"] = uri
	said["id_token_signed_response_alg"] = g.IDTokenAlgorithm()
	said["application_type"], said["response_types"] = "web", []string{}
	if g.Type == client.Native {
		said["application_type"] = "native"
	}
	if g.AllowsGrant(client.AuthorizationCode) {
		said["response_types"] = []string{"code"}
	}
	if g.JWKS != "" {
		said["jwks"] = json.RawMessage(g.JWKS)
	}
	for name, text := range map[string]string{"software_id": g.Software.ID, "software_version": g.Software.Version, sectorURI: g.Software.Sector, "software_statement": g.Software.Statement,
		"client_secret": string(g.Secret), "registration_access_token": string(g.Token)} {
		if text != "" {
			said[name] = text
		}
	}
	if g.Secret != "" {
		said["client_secret_expires_at"] = 0
	}
	return json.Marshal(said)
}
