package client

import (
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cardea-id/cardea/internal/realm"
)

// TestProfilesAreOrdered: whoever follows a profile follows itself and the
// default one, and no profile follows another by chance.
func TestProfilesAreOrdered(t *testing.T) {
	for _, p := range profiles {
		for _, o := range profiles {
			want := o.name == p.name || o.name == ProfileDefault
			if got := p.rules.covers(o.rules); got != want {
				t.Errorf("%s covers %s: %v, want %v", p.name, o.name, got, want)
			}
			both := p.rules.and(o.rules)
			if !both.covers(p.rules) || !both.covers(o.rules) {
				t.Errorf("%s and %s together ask for less than each", p.name, o.name)
			}
		}
		if !RealmRules(&realm.Settings{Profile: string(p.name)}).covers(p.rules) {
			t.Errorf("a realm with %s asks for less", p.name)
		}
	}
	unknown := Profile("fapi3").rules()
	if unknown.AllowsMethod(PrivateKeyJWT) || unknown.AllowsAlg("ES256") || len(unknown.Algs()) > 0 {
		t.Errorf("a profile that nobody knows lets clients in: %+v", unknown)
	}
	signed := RealmRules(&realm.Settings{Profile: "default", SignedRequests: "required", SignedResponses: "required"})
	if !signed.SignedRequests || !signed.SignedResponses || signed.Pushed {
		t.Errorf("the switches: %+v", signed)
	}
}

// TestProfilesAreNotContradicted: a client whose settings contradict its
// profile, or that of its realm, is not saved, and each setting says why.
func TestProfilesAreNotContradicted(t *testing.T) {
	jwks := `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k"}]}`
	for _, v := range []struct {
		fields []string
		change func(*Settings)
	}{
		{nil, func(*Settings) {}},
		{nil, func(s *Settings) { s.AuthMethod, s.JWKS, s.TLSSubjectDN = TLSClientAuth, "", "CN=a" }},
		{nil, func(s *Settings) { s.AuthMethod = SelfSignedTLS }},
		{nil, func(s *Settings) { s.IDTokenAlg, s.AccessTokenAlg, s.OpenIDDefaults = "PS256", "EdDSA", true }},
		{[]string{"token_endpoint_auth_method"}, func(s *Settings) { s.AuthMethod, s.JWKS = SecretBasic, "" }},
		{[]string{"token_endpoint_auth_method"}, func(s *Settings) { s.AuthMethod, s.JWKS = SecretPost, "" }},
		{[]string{"token_endpoint_auth_method"}, func(s *Settings) { s.Type, s.AuthMethod, s.JWKS = SPA, None, "" }},
		{[]string{"pkce_optional", "legacy_assertion_audience"}, func(s *Settings) { s.PKCEOptional, s.LegacyAssertionAudience = true, true }},
		{[]string{"openid_defaults"}, func(s *Settings) { s.OpenIDDefaults = true }},
		{[]string{"id_token_signed_response_alg"}, func(s *Settings) { s.IDTokenAlg = "RS256" }},
		{[]string{"access_token_signed_response_alg"}, func(s *Settings) { s.AccessTokenAlg = "RS256" }},
		{[]string{"token_endpoint_auth_signing_alg"}, func(s *Settings) { s.AuthSigningAlg = "RS256" }},
		{[]string{"request_object_signing_alg"}, func(s *Settings) { s.RequestObjectAlg = "RS256" }},
		{[]string{"authorization_signed_response_alg"}, func(s *Settings) { s.AuthorizationAlg = "RS256" }},
		{[]string{"introspection_signed_response_alg"}, func(s *Settings) { s.IntrospectionAlg = "RS256" }},
		{[]string{"userinfo_signed_response_alg"}, func(s *Settings) { s.UserInfoAlg = "RS256" }},
		{[]string{"redirect_uris"}, func(s *Settings) { s.RedirectURIs = append(s.RedirectURIs, "http://localhost/cb") }},
		{nil, func(s *Settings) {
			s.Type, s.RedirectURIs = Native, []string{"http://127.0.0.1/cb", "com.example.app:/cb"}
		}},
		{[]string{"profile"}, func(s *Settings) { s.Profile = "fapi1" }},
	} {
		s := valid()
		s.Profile, s.AuthMethod, s.JWKS = ProfileFAPI2, PrivateKeyJWT, jwks
		v.change(&s)
		s.Defaults()
		err := s.Validate()
		for _, field := range v.fields {
			if fieldOf(err, field) == "" {
				t.Errorf("%v: %v", v.fields, err)
			}
		}
		if (err == nil) != (v.fields == nil) {
			t.Errorf("%v: %v", v.fields, err)
		}
		if s.Profile != ProfileFAPI2 {
			continue
		}
		// The same client in a realm with the profile is let in nowhere.
		s.Profile = ""
		c, rl := &Client{Settings: s}, &realm.Realm{Settings: realm.Settings{Profile: "fapi2"}}
		if why := c.Contradiction(c.Rules(rl)); (why == "") != (v.fields == nil) {
			t.Errorf("%v in a realm: %q", v.fields, why)
		}
		c.BuiltIn = true
		if why := c.Contradiction(c.Rules(rl)); why != "" {
			t.Errorf("made with the realm: %q", why)
		}
	}
	// Signed requests need a key, signed answers a mode.
	c := &Client{Settings: valid()}
	c.Defaults()
	rl := &realm.Realm{Settings: realm.Settings{SignedRequests: "required", SignedResponses: "required"}}
	c.ResponseModes = []string{"query"}
	found := c.contradictions(c.Rules(rl))
	if len(found) != 2 || found["jwks"] == "" || found["response_modes"] == "" {
		t.Errorf("signed requests and answers: %v", found)
	}
	c.ResponseModes, c.JWKS = append(c.ResponseModes, "query.jwt"), jwks
	if found := c.contradictions(c.Rules(rl)); found != nil {
		t.Errorf("with both: %v", found)
	}
	if algs := c.Rules(&realm.Realm{Settings: realm.Settings{Profile: "fapi2"}}).Algs(); slices.Contains(algs, "RS256") || len(algs) != 3 {
		t.Errorf("algorithms: %v", algs)
	}
}

// Terms are kept for the same client and realm, and for no others.
func TestTermsFollowClientAndRealm(t *testing.T) {
	c := &Client{Settings: valid(), terms: new(atomic.Pointer[Terms])}
	c.Defaults()
	c.PKCEOptional = true
	loose, strict := &realm.Realm{}, &realm.Realm{Settings: realm.Settings{Profile: "mcp"}}
	for range 2 {
		for rl, want := range map[*realm.Realm]bool{loose: false, strict: true} {
			for range 2 {
				if terms := c.Terms(rl); terms.PKCE != want || (terms.Contradiction != "") != want {
					t.Errorf("in a realm of profile %q: %+v", rl.Settings.Profile, terms)
				}
			}
		}
	}
	if first := c.Terms(loose); c.Terms(loose) != first {
		t.Error("they are made each time")
	}
	changed := *c
	changed.RequirePushedRequests = true
	if !changed.Terms(loose).Pushed || c.Terms(loose).Pushed {
		t.Error("a copy has the terms of what it was copied from")
	}
}
