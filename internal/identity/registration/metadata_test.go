package registration

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

func open() policy {
	s := realm.DefaultSettings()
	s.Registration = realm.RegistrationOpen
	return policyOf(&s)
}

// Every name that is taken over as written is the name of a setting, so that
// none is dropped in silence.
func TestMembersAreSettings(t *testing.T) {
	tags := map[string]bool{}
	for i := range reflect.TypeFor[client.Settings]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[client.Settings]().Field(i).Tag.Get("json"), ",")
		tags[name] = true
	}
	for _, name := range asWritten {
		if !tags[name] {
			t.Errorf("there is no setting %q", name)
		}
	}
	for _, name := range []string{"first_party", "resource_server", "identifiers", "introspect_any", "pkce_optional", "legacy_assertion_audience", "resources", "tls_client_ca",
		"token_exchange_delegation", "token_exchange_impersonation", "identity_assertions", "attester_jwks", "profile", "sector_identifier", "resource_scopes"} {
		if slices.Contains(asWritten[:], name) {
			t.Errorf("clients choose %s for themselves", name)
		}
	}
}

const keyed = `{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/keys"`

// What the standards beside RFC 7591 let a client say of itself counts, and is
// told again.
func TestMembersOfOtherStandards(t *testing.T) {
	p := open()
	p.grantTypes = append(p.grantTypes, client.CIBA)
	p.methods = append(p.methods, string(client.PrivateKeyJWT))
	said := keyed + `,"grant_types":["authorization_code","` + client.CIBA + `"],
		"request_object_signing_alg":"ES256","request_uris":["https://a.example/request"],"require_signed_request_object":true,
		"require_pushed_authorization_requests":true,"authorization_signed_response_alg":"PS256","dpop_bound_access_tokens":true,
		"backchannel_token_delivery_mode":"ping","backchannel_client_notification_endpoint":"https://a.example/told",
		"backchannel_authentication_request_signing_alg":"ES256","backchannel_logout_uri":"https://a.example/out",
		"backchannel_logout_session_required":true,"frontchannel_logout_uri":"https://a.example/frame","frontchannel_logout_session_required":true}`
	m, err := p.read([]byte(said), time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	s := m.settings
	if !s.RequireSignedRequestObject || !s.RequirePushedRequests || !s.DPoPBoundAccessTokens || s.DeliveryMode != client.Ping || s.BackChannelLogoutURI == "" || s.FrontChannelLogoutURI == "" {
		t.Errorf("%+v", s)
	}
	told, err := Registration{Client: &client.Client{ID: "x", Settings: s}}.JSON("https://id.example/r")
	if err != nil {
		t.Fatal(err)
	}
	var want, got map[string]any
	if err := errors.Join(json.Unmarshal([]byte(said), &want), json.Unmarshal(told, &got)); err != nil {
		t.Fatal(err)
	}
	for name, v := range want {
		if !reflect.DeepEqual(v, got[name]) {
			t.Errorf("%s: %v is told as %v", name, v, got[name])
		}
	}
}

// The policy bounds each address that a client is told something at, and the
// types of authorization details that it may ask for.
func TestPolicyOfOtherStandards(t *testing.T) {
	for _, v := range []struct{ member, word string }{
		{`"backchannel_logout_uri":"https://b.example/out"`, "backchannel_logout_uri"},
		{`"backchannel_token_delivery_mode":"ping","backchannel_client_notification_endpoint":"https://b.example/told"`, "backchannel_client_notification_endpoint"},
		{`"frontchannel_logout_uri":"https://b.example/out"`, "frontchannel_logout_uri"},
		{`"authorization_details_types":["payment"]`, "authorization_details_types"},
		{`"authorization_details_types":["account","payment"]`, "authorization_details_types"},
		{`"authorization_details_types":"payment"`, "authorization_details_types"},
		{`"grant_types":["authorization_code","` + client.TokenExchange + `"]`, "grant_types"},
		{`"grant_types":["authorization_code","` + client.CIBA + `"]`, "grant_types"},
		{`"require_pushed_authorization_requests":"true"`, "require_pushed_authorization_requests"},
		{`"request_uris":["http://a.example/request"]`, "request_uris"},
	} {
		p := open()
		p.methods = append(p.methods, string(client.PrivateKeyJWT))
		p.redirectHosts = []string{"a.example"}
		p.detailTypes = []string{"account", "statement"}
		m, err := p.read([]byte(keyed+`,"authorization_details_types":["account"]}`), time.Unix(1, 0))
		if err != nil || !slices.Equal(m.settings.DetailTypes, []string{"account"}) {
			t.Fatalf("what is allowed: %v %v", err, m.settings.DetailTypes)
		}
		if m, err = p.read([]byte(keyed+"}"), time.Unix(1, 0)); err != nil || len(m.settings.DetailTypes) > 0 {
			t.Fatalf("who names none: %v %v", err, m.settings.DetailTypes)
		}
		_, err = p.read([]byte(keyed+","+v.member+"}"), time.Unix(1, 0))
		if fault.Code(err) != errMetadata || !strings.Contains(err.Error(), v.word) {
			t.Errorf("%s: %v", v.member, err)
		}
	}
}

// Rights that only an operator gives are members that we do not know (RFC 7591,
// section 2): they are ignored, in a registration and in a document.
func TestRightsAreNotRegistered(t *testing.T) {
	const id = "https://a.example/client.json"
	for _, member := range []string{
		`"token_exchange_delegation":true`, `"token_exchange_impersonation":true`, `"identity_assertions":[{"issuer":"https://b.example","client_id":"x"}]`,
		`"first_party":true`, `"introspect_any":true`, `"resource_server":true`, `"pkce_optional":true`, `"legacy_assertion_audience":true`,
		`"resources":["https://api.example"]`, `"identifiers":["https://api.example"]`, `"attester_jwks":"{}"`, `"tls_client_ca":"x"`, `"profile":"fapi2"`,
		`"access_token_ttl":86400`,
	} {
		p := open()
		p.methods = append(p.methods, string(client.PrivateKeyJWT))
		without, err := p.read([]byte(keyed+"}"), time.Unix(1, 0))
		if err != nil {
			t.Fatal(err)
		}
		with, err := p.read([]byte(keyed+","+member+"}"), time.Unix(1, 0))
		if err != nil || !reflect.DeepEqual(with, without) {
			t.Errorf("%s registered: %v %+v", member, err, with.settings)
		}
		document := keyed + `,"client_id":"` + id + `"`
		plain, err := p.document(id, []byte(document+"}"))
		if err != nil {
			t.Fatal(err)
		}
		if s, err := p.document(id, []byte(document+","+member+"}")); err != nil || !reflect.DeepEqual(s, plain) {
			t.Errorf("%s in a document: %v %+v", member, err, s)
		}
	}
}

// A document is for all servers: what its client cannot have here is left out.
// Where it is told something must be within the policy.
func TestDocumentsSayMore(t *testing.T) {
	const id = "https://a.example/client.json"
	p := open()
	p.redirectHosts = []string{"a.example"}
	document := keyed + `,"client_id":"` + id + `","authorization_details_types":["payment"],"backchannel_token_delivery_mode":"push",
		"backchannel_client_notification_endpoint":"https://b.example/told","backchannel_authentication_request_signing_alg":"ES256",
		"require_pushed_authorization_requests":true,"backchannel_logout_uri":"https://`
	s, err := p.document(id, []byte(document+`a.example/out"}`))
	if err != nil || len(s.DetailTypes) > 0 || s.DeliveryMode != "" || s.NotificationEndpoint != "" || s.BackchannelRequestAlg != "" || !s.RequirePushedRequests || s.BackChannelLogoutURI == "" {
		t.Errorf("%+v %v", s, err)
	}
	p.detailTypes = []string{"account", "payment"}
	if s, err := p.document(id, []byte(document+`a.example/out"}`)); err != nil || !slices.Equal(s.DetailTypes, []string{"payment"}) {
		t.Errorf("a type that the realm allows: %v %v", s.DetailTypes, err)
	}
	if s, err := p.document(id, []byte(document+`b.example/out"}`)); fault.Code(err) != "client_document_unusable" {
		t.Errorf("%+v %v", s, err)
	}
}

func TestRedirectHosts(t *testing.T) {
	for _, v := range []struct {
		hosts, uri string
		want       bool
	}{
		{"*", "https://app.example.com/cb", true},
		{"*", "com.example.app:/cb", true},
		{"app.example.com", "https://app.example.com:8443/cb", true},
		{"app.example.com", "https://app.example.com?x", true},
		{"app.example.com", "https://app.example.com.evil.com/cb", false},
		{"app.example.com", "https://evil.com/app.example.com", false},
		{"*.example.com", "https://a.b.example.com/cb", true},
		{"*.example.com", "https://example.com/cb", false},
		{"*.example.com", "https://badexample.com/cb", false},
		{"[::1] localhost", "http://[::1]:7000/cb", true},
		{"[::1] localhost", "http://localhost:7000/cb", true},
		{"[::1] localhost", "http://127.0.0.1/cb", false},
		{"com.example.app:", "com.example.app:/cb", true},
		{"com.example.app:", "com.example.other:/cb", false},
		{"none", "https://app.example.com/cb", false},
	} {
		p := policy{redirectHosts: realm.List(v.hosts)}
		if got := p.leads(v.uri); got != v.want {
			t.Errorf("%q with %q: %v", v.uri, v.hosts, got)
		}
	}
}

// Clients hear the words of the standard, whatever found their metadata wrong.
func TestWords(t *testing.T) {
	for _, v := range []struct {
		err        error
		code, says string
	}{
		{fault.New(fault.Invalid, "invalid_client_settings", "see the fields").WithField("redirect_uris", "are needed").WithField("name", "is long"), errRedirect, "client_name: is long; redirect_uris: are needed"},
		{fault.New(fault.Invalid, "anything", "does not fit"), errMetadata, "does not fit"},
		{fault.New(fault.Invalid, errUnapproved, "x"), errUnapproved, "x"},
		{fault.New(fault.Conflict, "taken", "x"), "taken", "x"},
	} {
		err := words(v.err)
		if fault.Code(err) != v.code || !strings.HasSuffix(err.Error(), v.says) {
			t.Errorf("%v becomes %v", v.err, err)
		}
	}
	if words(nil) != nil {
		t.Error("nothing is wrong, and yet")
	}
}

// Whatever is accepted is within the policy, is valid, is a stranger's, and
// reads the same when it comes back.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		`{"redirect_uris":["https://a.example/cb"]}`,
		`{"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"none","scope":"openid","application_type":"native"}`,
		`{"redirect_uris":["com.example.a:/cb"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"client_name":"x","contacts":["a"]}`,
		`{"redirect_uris":["https://a.example/cb"],"jwks":{"keys":[]},"token_endpoint_auth_method":"private_key_jwt"}`,
		`{"redirect_uris":["https://a.example/cb"],"backchannel_logout_uri":"https://a.example/out","frontchannel_logout_uri":"https://a.example/out","backchannel_logout_session_required":true}`,
		`{"redirect_uris":["https://a.example/cb"],"jwks_uri":"https://a.example/k","request_uris":["https://a.example/r"],"request_object_signing_alg":"ES256"}`,
		`{"redirect_uris":null,"scope":null,"software_statement":"a.b.c"}`, `{"grant_types":[],"token_endpoint_auth_method":""}`, `[]`, `{`, `{"scope":"` + strings.Repeat("x ", 200) + `"}`,
	} {
		f.Add([]byte(seed))
	}
	p := open()
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := p.read(body, time.Unix(1, 0))
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		s := m.settings
		if err := s.Validate(); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if s.FirstParty || s.ResourceServer || s.PKCEOptional || s.IntrospectAny || len(s.Resources) > 0 || len(s.DetailTypes) > 0 ||
			s.ExchangeDelegation || s.ExchangeImpersonation || len(s.IdentityAssertions) > 0 {
			t.Fatalf("%q: %+v", body, s)
		}
		if err := p.check(&s); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		said, err := Registration{Client: &client.Client{ID: "x", Settings: s}, Software: m.software}.JSON("https://id.example/r")
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]any
		if err := json.Unmarshal(said, &back); err != nil {
			t.Fatal(err)
		}
		for _, name := range reserved {
			delete(back, name)
		}
		again, err := json.Marshal(back)
		if err != nil {
			t.Fatal(err)
		}
		second, err := p.read(again, time.Unix(1, 0))
		if err != nil {
			t.Fatalf("%s does not come back: %v", again, err)
		}
		second.settings.IDTokenAlg, second.settings.JWKS = s.IDTokenAlg, s.JWKS // the default is written out, and JSON respaced
		if !reflect.DeepEqual(normal(second.settings), normal(s)) {
			t.Fatalf("%+v comes back as %+v", s, second.settings)
		}
	})
}

// normal takes empty lists for none.
func normal(s client.Settings) client.Settings {
	for _, list := range []*[]string{&s.RedirectURIs, &s.PostLogoutRedirectURIs, &s.GrantTypes, &s.Scopes, &s.Contacts, &s.Resources, &s.RequestURIs, &s.DetailTypes} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	return s
}

// Whatever a stranger publishes, it is refused in our words or gives a client
// that is a stranger's, without a secret, within the policy.
func FuzzDocument(f *testing.F) {
	const id = "https://a.example/client.json"
	for _, seed := range []string{
		`{"client_id":"` + id + `","redirect_uris":["https://a.example/cb"]}`,
		`{"client_id":"` + id + `","redirect_uris":["http://localhost/cb"],"grant_types":["authorization_code","x"],"scope":"openid x","jwks":{"keys":[]}}`,
		`{"client_id":"` + id + `","redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/jwks"}`,
		`{"client_id":"x"}`, `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	p := open()
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := p.document(id, body)
		if err != nil {
			if fault.Code(err) != "client_document_unusable" {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if s.FirstParty || s.ResourceServer || s.PKCEOptional || s.AuthMethod != client.None && s.AuthMethod != client.PrivateKeyJWT {
			t.Fatalf("%q: %+v", body, s)
		}
		if err := p.check(&s); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
	})
}
