package oauth

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// resourceMetadata is what a protected resource says of itself (RFC 9728,
// section 2).
type resourceMetadata struct {
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers"`
	JWKSURI              string   `json:"jwks_uri,omitempty"`
	Scopes               []string `json:"scopes_supported,omitempty"`
	BearerMethods        []string `json:"bearer_methods_supported"`
	Name                 string   `json:"resource_name,omitempty"`
	PolicyURI            string   `json:"resource_policy_uri,omitempty"`
	TermsURI             string   `json:"resource_tos_uri,omitempty"`
	TLSBoundTokens       bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DPoPAlgs             []string `json:"dpop_signing_alg_values_supported,omitempty"`
}

// ownMetadata describes what the issuer itself serves: userinfo under the
// issuer's own name, the admin API, the revocation stream, and the decision
// service.
func (s *Server) ownMetadata(w http.ResponseWriter, r *http.Request) error {
	rl, path := realm.From(r.Context()), r.PathValue("path")
	if path != "" {
		path = "/" + path
	}
	names := map[string]string{client.ScopeOpenID: "Userinfo", client.ScopeAdmin: "Cardea admin API", client.ScopeRevocations: "Revocation stream", client.ScopeDecide: "Decision service", client.ScopeEdge: "Facts for edges", client.ScopeAgent: "Agents of policies"}
	for _, own := range client.OwnResources() {
		if own.Path != path {
			continue
		}
		methods, scopes := []string{"header"}, []string{own.Scope}
		if own.Scope == client.ScopeOpenID {
			methods, scopes = append(methods, "body"), slices.Clone(standardScopes)
		}
		return s.describeResource(w, r, resourceMetadata{Resource: rl.Issuer + own.Path, AuthorizationServers: []string{rl.Issuer}, Name: names[own.Scope],
			Scopes: scopes, BearerMethods: methods, TLSBoundTokens: s.mtls.On, DPoPAlgs: client.Algorithms()})
	}
	return fault.New(fault.NotFound, "not_found", "there is no protected resource of this name")
}

// registeredMetadata describes an API that is registered as a resource server
// with an identifier. RFC 9728 has the API serve this itself, at an address made
// of its identifier; it can be had from here to be passed on there. Of several
// identifiers, resource names one.
func (s *Server) registeredMetadata(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	c, err := s.clients.Live(r.Context(), rl.Name, r.PathValue("client"))
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) || err == nil && (!c.ResourceServer || len(c.Identifiers) == 0) {
		return fault.New(fault.NotFound, "not_found", "there is no API of this name with an identifier")
	}
	if err != nil {
		return err
	}
	resource := c.Identifiers[0]
	if named := r.URL.Query().Get("resource"); named != "" {
		if !slices.Contains(c.Identifiers, named) {
			return fault.New(fault.NotFound, "not_found", "the API has no such identifier")
		}
		resource = named
	}
	return s.describeResource(w, r, resourceMetadata{Resource: resource, AuthorizationServers: []string{rl.Issuer}, Scopes: c.ResourceScopes,
		BearerMethods: []string{"header"}, Name: c.Name, PolicyURI: c.PolicyURI, TermsURI: c.TermsURI})
}

func (s *Server) describeResource(w http.ResponseWriter, r *http.Request, m resourceMetadata) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return public(w, r, body, tagOf(body), discoveryCacheControl)
}
