package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/jose"
)

// wellKnown is where the metadata of a protected resource is, before the path of
// the resource (RFC 9728, section 3.1).
const wellKnown = "/.well-known/oauth-protected-resource"

// Metadata describes an API to clients that know nothing of it but its address
// (RFC 9728, section 2). Set Config.ResourceMetadata to its URL, so that
// refusals lead there.
type Metadata struct {
	// Resource is the identifier of the API, an https URL without fragment: what
	// clients name as resource and tokens as audience. On the loopback interface
	// it may be http.
	Resource string
	// AuthorizationServers are the issuers whose tokens the API takes.
	AuthorizationServers []string
	// Scopes are those that clients may ask for.
	Scopes []string
	// Name is what people read.
	Name string
	// Documentation, PolicyURI and TermsURI are pages for people.
	Documentation, PolicyURI, TermsURI string
	// DPoPRequired says that only tokens that are bound to a key are taken, and
	// TLSRequired that only those that are bound to a certificate are.
	DPoPRequired, TLSRequired bool
}

// Path is where the API serves the metadata: mount [ProtectedResourceMetadata]
// there. "" if Resource is no URL.
func (m Metadata) Path() string {
	u, err := m.url()
	if err != nil {
		return ""
	}
	return wellKnown + strings.TrimSuffix(u.EscapedPath(), "/")
}

// URL is the address of the metadata, with the query of the resource if it has
// one. "" if Resource is no URL.
func (m Metadata) URL() string {
	u, err := m.url()
	if err != nil {
		return ""
	}
	address := u.Scheme + "://" + u.Host + m.Path()
	if u.RawQuery != "" {
		address += "?" + u.RawQuery
	}
	return address
}

func (m Metadata) url() (*url.URL, error) {
	u, err := url.Parse(m.Resource)
	if err != nil || u.Host == "" || u.User != nil || strings.Contains(m.Resource, "#") || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, fmt.Errorf("verify: Resource %q is not an https URL without user and fragment", m.Resource)
	}
	return u, nil
}

// metadataDocument is how it is served.
type metadataDocument struct {
	Resource      string   `json:"resource"`
	Servers       []string `json:"authorization_servers"`
	Scopes        []string `json:"scopes_supported,omitempty"`
	BearerMethods []string `json:"bearer_methods_supported"`
	Name          string   `json:"resource_name,omitempty"`
	Documentation string   `json:"resource_documentation,omitempty"`
	PolicyURI     string   `json:"resource_policy_uri,omitempty"`
	TermsURI      string   `json:"resource_tos_uri,omitempty"`
	DPoPAlgs      []string `json:"dpop_signing_alg_values_supported"`
	DPoPRequired  bool     `json:"dpop_bound_access_tokens_required,omitempty"`
	TLSRequired   bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

// ProtectedResourceMetadata serves m to everybody, scripts of other origins
// included. It says of tokens what a [Verifier] does: they come in the
// Authorization header only.
func ProtectedResourceMetadata(m Metadata) (http.Handler, error) {
	if _, err := m.url(); err != nil {
		return nil, err
	}
	if len(m.AuthorizationServers) == 0 {
		return nil, errors.New("verify: Metadata without AuthorizationServers leads nobody to a token")
	}
	for _, issuer := range m.AuthorizationServers {
		if err := checkIssuer(issuer); err != nil {
			return nil, err
		}
	}
	body, err := json.Marshal(metadataDocument{Resource: m.Resource, Servers: slices.Clone(m.AuthorizationServers), Scopes: m.Scopes, BearerMethods: []string{"header"},
		Name: m.Name, Documentation: m.Documentation, PolicyURI: m.PolicyURI, TermsURI: m.TermsURI, DPoPAlgs: jose.Algorithms(),
		DPoPRequired: m.DPoPRequired, TLSRequired: m.TLSRequired})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "GET")
			h.Set("Access-Control-Allow-Headers", "*")
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(w, "the metadata can be read only", http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(body)
	}), nil
}
