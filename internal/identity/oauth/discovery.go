package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

// discoveryCacheControl lets others keep the document for five minutes, as
// long as the keys it leads to.
var discoveryCacheControl = []string{"public, max-age=300"}

// document is what a realm says of itself, encoded once.
type document struct {
	body []byte
	etag []string // the value of a header
	of   describedBy
}

// describedBy is all that a realm's document depends on.
type describedBy struct {
	realm  *realm.Realm
	types  []*detail.Type
	signer *jose.Key // nil: none
}

// same reports whether nothing has changed. The types are in memory and shared,
// so that a change of one is another pointer.
func (d describedBy) same(o describedBy) bool {
	return d.realm.Issuer == o.realm.Issuer && d.realm.Version == o.realm.Version && keyID(d.signer) == keyID(o.signer) && slices.Equal(d.types, o.types)
}

func keyID(k *jose.Key) string {
	if k == nil {
		return ""
	}
	return k.ID
}

// discovery serves OpenID Connect Discovery, section 4, and RFC 8414 with one
// document: what it says is true for both.
func (s *Server) discovery(w http.ResponseWriter, r *http.Request) error {
	of := describedBy{realm: realm.From(r.Context())}
	var err error
	if of.types, err = s.details.Types(r.Context(), of.realm.Name); err != nil {
		return err
	}
	// Signed by the key that signs at the moment. Without one, which leaves the
	// rest as true as it is, there is no signed copy.
	if of.signer, err = s.ring.Signer(r.Context(), of.realm.Name, client.DefaultAlg); err != nil {
		of.signer = nil
	}
	doc, err := s.document(of)
	if err != nil {
		return err
	}
	return public(w, r, doc.body, doc.etag, discoveryCacheControl)
}

// metadata says what the realm can do, in the order of the registrations. It
// lists nothing that the code does not do: what can be is read from the tables
// that the endpoints use.
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	PAREndpoint           string   `json:"pushed_authorization_request_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	CheckSession          string   `json:"check_session_iframe"`
	BackChannelLogout     bool     `json:"backchannel_logout_supported"`
	BackChannelSession    bool     `json:"backchannel_logout_session_supported"`
	FrontChannelLogout    bool     `json:"frontchannel_logout_supported"`
	FrontChannelSession   bool     `json:"frontchannel_logout_session_supported"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	BackchannelEndpoint   string   `json:"backchannel_authentication_endpoint"`
	BackchannelModes      []string `json:"backchannel_token_delivery_modes_supported"`
	BackchannelAlgs       []string `json:"backchannel_authentication_request_signing_alg_values_supported"`
	BackchannelUserCode   bool     `json:"backchannel_user_code_parameter_supported"`
	RegistrationEndpoint  string   `json:"registration_endpoint,omitempty"`
	ClientDocuments       bool     `json:"client_id_metadata_document_supported,omitempty"`
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	GrantProfiles         []string `json:"authorization_grant_profiles_supported"`
	ChainedTypes          []string `json:"identity_chaining_requested_token_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgs           []string `json:"id_token_signing_alg_values_supported"`
	UserInfoAlgs          []string `json:"userinfo_signing_alg_values_supported"`
	IntrospectionAlgs     []string `json:"introspection_signing_alg_values_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs         []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	PKCE                  []string `json:"code_challenge_methods_supported"`
	Prompts               []string `json:"prompt_values_supported"`
	ACRs                  []string `json:"acr_values_supported,omitempty"`
	ClaimTypes            []string `json:"claim_types_supported"`
	Claims                []string `json:"claims_supported"`
	Locales               []string `json:"ui_locales_supported,omitempty"`
	ClaimsParameter       bool     `json:"claims_parameter_supported"`
	RequestParameter      bool     `json:"request_parameter_supported"`
	RequestURIParameter   bool     `json:"request_uri_parameter_supported"`
	RegisteredRequestURIs bool     `json:"require_request_uri_registration"`
	RequirePushed         bool     `json:"require_pushed_authorization_requests"`
	RequireSigned         bool     `json:"require_signed_request_object"`
	RequestObjectAlgs     []string `json:"request_object_signing_alg_values_supported"`
	AnswerAlgs            []string `json:"authorization_signing_alg_values_supported"`
	DetailTypes           []string `json:"authorization_details_types_supported,omitempty"`
	IssInResponse         bool     `json:"authorization_response_iss_parameter_supported"`
	DPoPAlgs              []string `json:"dpop_signing_alg_values_supported"`
	AttestationAlgs       []string `json:"client_attestation_signing_alg_values_supported"`
	AttestationPoPAlgs    []string `json:"client_attestation_pop_signing_alg_values_supported"`
	TLSBoundTokens        bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	MTLS                  *aliases `json:"mtls_endpoint_aliases,omitempty"`
	ProtectedResources    []string `json:"protected_resources,omitempty"`
	Iss                   string   `json:"iss,omitempty"` // of the signed copy, as is iat
	IssuedAt              int64    `json:"iat,omitempty"`
	Signed                string   `json:"signed_metadata,omitempty"`
}

// typeMetadata is the type of signed metadata, so that it is taken for no other
// token.
const typeMetadata = "oauth-authorization-server+jwt"

// sign adds the signed copy (RFC 8414, section 2.1).
func (m *metadata) sign(key *jose.Key, now time.Time) error {
	copied := *m
	copied.Iss, copied.IssuedAt = m.Issuer, now.Unix()
	claims, err := json.Marshal(copied)
	if err != nil {
		return err
	}
	m.Signed, err = jose.Sign(key, typeMetadata, claims)
	return err
}

// document finds the realm's document, or makes it where something has changed.
func (s *Server) document(of describedBy) (*document, error) {
	doc, ok := s.documents.Peek(of.realm.Name, "")
	if ok && doc.of.same(of) {
		return doc, nil
	}
	s.documents.Drop(of.realm.Name, "")
	doc, err := s.documents.Get(of.realm.Name, "", func() (*document, error) { return s.describe(of) })
	if err != nil || doc.of.same(of) {
		return doc, err
	}
	return s.describe(of) // made meanwhile by somebody who had seen something older, or newer
}

// describe makes the document, with a copy signed by the key if there is one.
func (s *Server) describe(of describedBy) (*document, error) {
	rl := of.realm
	at := func(path string) string { return rl.Issuer + path }
	rules := client.RealmRules(&rl.Settings)
	algs, assertionAlgs := rules.Algs(), rules.Algs()
	if rules.AllowsMethod(client.SecretJWT) {
		assertionAlgs = client.AssertionAlgorithms()
	}
	methods := []string{}
	for _, m := range clientAuths {
		if !rules.AllowsMethod(m.method) || (m.method == client.TLSClientAuth || m.method == client.SelfSignedTLS) && !s.mtls.On {
			continue
		}
		methods = append(methods, string(m.method))
	}
	registers := ""
	if rl.Settings.Registration != realm.RegistrationOff {
		registers = at(pathRegister)
	}
	confidential := slices.DeleteFunc(slices.Clone(methods), func(m string) bool { return m == string(client.None) })
	var resources []string
	for _, own := range client.OwnResources() {
		resources = append(resources, at(own.Path))
	}
	var detailTypes []string
	for _, t := range of.types {
		detailTypes = append(detailTypes, t.Name)
	}
	m := metadata{
		Issuer:                rl.Issuer,
		AuthorizationEndpoint: at(pathAuthorize),
		PAREndpoint:           at(pathPAR),
		TokenEndpoint:         at(pathToken),
		UserInfoEndpoint:      at(pathUserInfo),
		JWKSURI:               at(pathJWKS),
		RevocationEndpoint:    at(pathRevoke),
		IntrospectionEndpoint: at(pathIntrospect),
		EndSessionEndpoint:    at(pathLogout),
		CheckSession:          at(signin.PathCheckSession),
		BackChannelLogout:     true,
		BackChannelSession:    true,
		FrontChannelLogout:    true,
		FrontChannelSession:   true,
		DeviceEndpoint:        at(pathDevice),
		BackchannelEndpoint:   at(pathCIBA),
		BackchannelAlgs:       algs,
		BackchannelModes:      client.DeliveryModes(),
		RegistrationEndpoint:  registers,
		ClientDocuments:       rl.Settings.TakesDocuments(),
		Scopes:                slices.Clone(standardScopes),
		ResponseTypes:         []string{"code"},
		ResponseModes:         slices.DeleteFunc(responseModes(), func(m string) bool { return rules.SignedResponses && !strings.HasSuffix(m, signedMode) }),
		GrantTypes:            slices.Sorted(maps.Keys(grants)),
		GrantProfiles:         []string{profileIDJAG},
		ChainedTypes:          []string{typeIDJAG},
		SubjectTypes:          []string{string(client.Public), string(client.Pairwise)},
		IDTokenAlgs:           algs,
		UserInfoAlgs:          algs,
		IntrospectionAlgs:     algs,
		TokenAuth:             methods,
		TokenAuthAlgs:         assertionAlgs,
		RevocationAuth:        methods,
		RevocationAuthAlgs:    assertionAlgs,
		IntrospectionAuth:     confidential,
		IntrospectionAuthAlgs: assertionAlgs,
		PKCE:                  []string{"S256"},
		Prompts:               prompts,
		ACRs:                  s.pages.Reachable(rl),
		ClaimTypes:            []string{"normal"},
		Claims:                claimNames(),
		Locales:               s.locales,
		ClaimsParameter:       true,
		RequestParameter:      true,
		RequestURIParameter:   true,
		RegisteredRequestURIs: true,
		RequirePushed:         rules.Pushed,
		RequireSigned:         rules.SignedRequests,
		RequestObjectAlgs:     algs,
		AnswerAlgs:            algs,
		DetailTypes:           detailTypes,
		IssInResponse:         true,
		DPoPAlgs:              algs,
		AttestationAlgs:       client.Algorithms(),
		AttestationPoPAlgs:    client.Algorithms(),
		TLSBoundTokens:        s.mtls.On,
		MTLS:                  s.mtls.aliases(rl),
		ProtectedResources:    resources,
	}
	if of.signer != nil {
		if err := m.sign(of.signer, s.now()); err != nil {
			return nil, err
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &document{body: body, etag: tagOf(body), of: of}, nil
}

// tagOf is the entity tag of a body, as the value of a header.
func tagOf(body []byte) []string {
	sum := sha256.Sum256(body)
	return []string{`"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}
