package client

import (
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/jose"
)

func (s *Settings) checkAuthentication(p *problems) {
	switch s.AuthMethod {
	case None:
		if s.Type == Service || s.ResourceServer {
			p.add("token_endpoint_auth_method", "none does not fit a service or resource server")
		}
		if s.PKCEOptional {
			p.add("pkce_optional", "is for confidential clients only")
		}
	case SecretBasic, SecretPost, SecretJWT, PrivateKeyJWT, TLSClientAuth, SelfSignedTLS, AttestedJWT:
		if s.Type == SPA {
			p.add("token_endpoint_auth_method", "a single-page application cannot keep a secret; use none")
		}
	default:
		p.add("token_endpoint_auth_method", "is %q and must be none, client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt, tls_client_auth, self_signed_tls_client_auth or attest_jwt_client_auth", s.AuthMethod)
	}
	s.checkKeys(p)
	s.checkAttesters(p)
	s.checkCertificate(p)
}

func (s *Settings) checkAttesters(p *problems) {
	switch {
	case s.AttesterJWKS == "":
	case s.AuthMethod != AttestedJWT:
		p.add("attester_jwks", "is for attest_jwt_client_auth only")
	case len(s.AttesterJWKS) > maxJWKS:
		p.add("attester_jwks", "is larger than %d bytes", maxJWKS)
	default:
		if _, err := credential.ParseKeys([]byte(s.AttesterJWKS)); err != nil {
			p.add("attester_jwks", "%s", err)
		}
	}
}

// checkKeys looks at the keys that the client may sign with: assertions, and
// requests however it authenticates (RFC 7591, section 2).
func (s *Settings) checkKeys(p *problems) {
	if s.AuthMethod != PrivateKeyJWT {
		if s.AuthSigningAlg != "" && (s.AuthMethod != SecretJWT || s.AuthSigningAlg != jose.HS256) {
			p.add("token_endpoint_auth_signing_alg", "is for private_key_jwt, or HS256 for client_secret_jwt")
		}
		if s.LegacyAssertionAudience {
			p.add("legacy_assertion_audience", "is for private_key_jwt only")
		}
	}
	needed := s.AuthMethod == PrivateKeyJWT || s.AuthMethod == SelfSignedTLS || s.signsRequests()
	if s.JWKS == "" && s.JWKSURI == "" && !needed {
		return
	}
	if (s.JWKS == "") == (s.JWKSURI == "") {
		p.add("jwks", "give either jwks or jwks_uri")
		return
	}
	if s.JWKSURI != "" {
		if u, why := canonical(s.JWKSURI); why != "" {
			p.add("jwks_uri", "%s", why)
		} else if u.scheme != "https" {
			p.add("jwks_uri", "must use https")
		}
		return
	}
	if len(s.JWKS) > maxJWKS {
		p.add("jwks", "is larger than %d bytes", maxJWKS)
	} else if _, err := credential.ParseKeys([]byte(s.JWKS)); err != nil {
		p.add("jwks", "%s", err)
	}
}

// signsRequests reports whether the client's settings speak of request objects,
// for which it needs keys however it authenticates.
func (s *Settings) signsRequests() bool {
	return s.BackchannelRequestAlg != "" || s.RequestObjectAlg != "" || len(s.RequestURIs) > 0 || s.RequireSignedRequestObject
}

// signingAlg is the algorithm of assertions that the client signs with a key.
func (s *Settings) signingAlg() string {
	if s.AuthMethod == SecretJWT {
		return ""
	}
	return s.AuthSigningAlg
}
