package api

import (
	"context"
	"slices"
	"time"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
)

func (s *Server) listClients(ctx context.Context, c *Caller, in *Paging) (*page[wire.Client], error) {
	found, next, err := s.Clients.List(ctx, c.Realm.Name, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	return paged(found, next, clientOf), nil
}

type createClientInput struct {
	Repeatable
	Body wire.ClientCreate
}

func (s *Server) createClient(ctx context.Context, c *Caller, in *createClientInput) (*answer[wire.ClientWithSecret], error) {
	settings := settingsIn(in.Body.ClientSettings)
	if err := privileged(c, settings); err != nil {
		return nil, err
	}
	made, err := repeatable(ctx, s, c, in.Repeatable, "create-client", "", in.Body, func(tx *db.Tx) (wire.ClientWithSecret, error) {
		made, err := s.Clients.CreateTx(tx, c.By, client.Draft{ID: in.Body.ID, Settings: settings})
		if err != nil {
			return wire.ClientWithSecret{}, err
		}
		return withSecret(made).Body, nil
	})
	if err != nil {
		return nil, err
	}
	return versioned(made, made.Client.Version), nil
}

func (s *Server) showClient(ctx context.Context, c *Caller, in *ByID) (*answer[wire.Client], error) {
	found, err := s.clientNamed(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	return versioned(clientOf(found), found.Version), nil
}

type replaceClientInput struct {
	ByID
	Matching
	Body wire.ClientSettings
}

func (s *Server) replaceClient(ctx context.Context, c *Caller, in *replaceClientInput) (*answer[wire.ClientWithSecret], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	found, err := s.touchableClient(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	if found.Source == client.FromDocument {
		return nil, fault.New(fault.Conflict, "client_from_document", "what client %q is, the document at its address says; an operator can disable or delete it", found.ID)
	}
	settings := settingsIn(in.Body)
	if err := privileged(c, settings); err != nil {
		return nil, err
	}
	changed, err := s.Clients.Update(ctx, c.By, c.Realm.Name, found.ID, version, settings)
	if err := s.Grants.EndRevoked(ctx, c.By, c.Realm.Name, found.Principal, "the client authenticates otherwise now", err); err != nil {
		return nil, err
	}
	return withSecret(changed), nil
}

func (s *Server) enableClient(ctx context.Context, c *Caller, in *ByID) (*answer[wire.Client], error) {
	found, err := s.touchableClient(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	changed, err := s.Clients.Enable(ctx, c.By, c.Realm.Name, found.ID, 0)
	if err != nil {
		return nil, err
	}
	return versioned(clientOf(changed), changed.Version), nil
}

func (s *Server) disableClient(ctx context.Context, c *Caller, in *ByID) (*answer[wire.Client], error) {
	found, err := s.touchableClient(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.Grants.DisableClient(ctx, c.By, c.Realm.Name, found.ID, 0, s.guard(c, found.Principal)); err != nil {
		return nil, err
	}
	return s.showClient(ctx, c, in)
}

func (s *Server) deleteClient(ctx context.Context, c *Caller, in *ByID) (*nothing, error) {
	found, err := s.touchableClient(ctx, c, in.ID)
	if fault.Is(err, fault.NotFound) {
		return nil, s.Grants.DeleteClient(ctx, c.By, c.Realm.Name, in.ID, 0, func(tx *db.Tx) error { return deletedBefore(tx, in.ID) })
	}
	if err != nil {
		return nil, err
	}
	return nil, s.Grants.DeleteClient(ctx, c.By, c.Realm.Name, found.ID, 0, s.guard(c, found.Principal))
}

// deletedBefore lets a deletion be repeated, and nothing else: a client made
// since it was not found is one that nobody has asked the caller's rights for.
func deletedBefore(tx *db.Tx, id string) error {
	deleted, err := client.DeletedTx(tx, id)
	if err == nil && !deleted {
		return fault.New(fault.Conflict, "client_new", "client %q has just been made; look at it before you delete it", id)
	}
	return err
}

func (s *Server) listSecrets(ctx context.Context, c *Caller, in *ByID) (*page[wire.Credential], error) {
	found, err := s.clientNamed(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	all, err := s.Credentials.List(ctx, c.Realm.Name, found.Principal)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(x credential.Credential) bool {
		return x.Type != credential.ClientSecret && x.Type != credential.SealedSecret
	})
	return paged(all, "", credentialOf), nil
}

type addSecretInput struct {
	ByID
	Repeatable
	Body wire.ClientSecretCreate
}

func (s *Server) addSecret(ctx context.Context, c *Caller, in *addSecretInput) (*plainAnswer[wire.ClientSecret], error) {
	found, err := s.touchableClient(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	made, err := repeatable(ctx, s, c, in.Repeatable, "add-client-secret", in.ID, in.Body, func(tx *db.Tx) (wire.ClientSecret, error) {
		made, text, err := s.Clients.AddSecretTx(tx, c.By, found, time.Duration(in.Body.ExpiresIn)*time.Second)
		return wire.ClientSecret{ID: made.ID, Secret: string(text), ExpiresAt: optional(made.ExpiresAt)}, err
	})
	if err != nil {
		return nil, err
	}
	return plain(made), nil
}

type secretInput struct {
	ByID
	Secret string `path:"secret" maxLength:"64" doc:"The id of the secret, not the secret itself."`
}

func (s *Server) revokeSecret(ctx context.Context, c *Caller, in *secretInput) (*nothing, error) {
	found, err := s.touchableClient(ctx, c, in.ID)
	if err != nil {
		return nil, err
	}
	return nil, s.revokeCredential(ctx, c, found.Principal, in.Secret)
}

// clientNamed finds a client by its id or, since an id that is an address does
// not fit into a path, by its service.
func (s *Server) clientNamed(ctx context.Context, c *Caller, name string) (*client.Client, error) {
	if !id.Valid("svc", name) {
		return s.Clients.ByID(ctx, c.Realm.Name, name)
	}
	return s.Clients.ByPrincipal(ctx, c.Realm.Name, name)
}

// touchableClient is a client that the caller may change: it gives nobody
// rights that the caller lacks.
func (s *Server) touchableClient(ctx context.Context, c *Caller, name string) (*client.Client, error) {
	found, err := s.clientNamed(ctx, c, name)
	if err != nil {
		return nil, err
	}
	if err := privileged(c, found.Settings); err != nil {
		return nil, err
	}
	return found, s.Operators.MayTouch(ctx, c.By, c.Realm.Name, found.Principal)
}

// privileged refuses to let anybody but an owner make or change a client that
// may ask for the scope of this API: whoever chooses its redirect URIs or has
// its secret can act as an operator who uses it.
func privileged(c *Caller, settings client.Settings) error {
	if settings.AllowsScope(wire.Scope) && !c.Role.May(operator.ClientsPrivileged) {
		return fault.New(fault.Forbidden, "rights_exceeded", "only an owner manages clients with the scope %s", wire.Scope)
	}
	return nil
}

func withSecret(changed client.Changed) *answer[wire.ClientWithSecret] {
	return versioned(wire.ClientWithSecret{Client: clientOf(changed.Client), Secret: string(changed.Secret)}, changed.Version)
}

func clientOf(c *client.Client) wire.Client {
	return wire.Client{ID: c.ID, Principal: c.Principal, Enabled: c.Enabled, BuiltIn: c.BuiltIn, Source: string(c.Source), Relaxed: client.Relaxed(c), Version: c.Version,
		CreatedAt: c.Created, UpdatedAt: c.Updated, ClientSettings: settingsOut(c.Settings)}
}

func settingsIn(w wire.ClientSettings) client.Settings {
	return client.Settings{
		Name: w.Name, Type: client.Type(w.Type), Profile: client.Profile(w.Profile), ResourceServer: w.ResourceServer, Identifiers: w.Identifiers, ResourceScopes: w.ResourceScopes,
		RedirectURIs: w.RedirectURIs, PostLogoutRedirectURIs: w.PostLogoutRedirectURIs,
		BackChannelLogoutURI: w.BackChannelLogoutURI, BackChannelLogoutSession: w.BackChannelLogoutSession,
		FrontChannelLogoutURI: w.FrontChannelLogoutURI, FrontChannelLogoutSession: w.FrontChannelLogoutSession, GrantTypes: w.GrantTypes, ResponseModes: w.ResponseModes,
		Scopes: w.Scopes, Resources: w.Resources, AuthMethod: client.AuthMethod(w.TokenEndpointAuthMethod), AuthSigningAlg: w.TokenEndpointAuthSigningAlg, JWKS: w.JWKS, JWKSURI: w.JWKSURI, AttesterJWKS: w.AttesterJWKS,
		AccessTokenFormat: client.TokenFormat(w.AccessTokenFormat), AccessTokenAlg: w.AccessTokenSignedResponseAlg, IDTokenAlg: w.IDTokenSignedResponseAlg,
		UserInfoAlg: w.UserInfoSignedResponseAlg, IntrospectionAlg: w.IntrospectionSignedResponseAlg, OpenIDDefaults: w.OpenIDDefaults,
		SubjectType: client.SubjectType(w.SubjectType), Sector: w.SectorIdentifier, FirstParty: w.FirstParty, PKCEOptional: w.PKCEOptional,
		LegacyAssertionAudience: w.LegacyAssertionAudience, IntrospectAny: w.IntrospectAny, ExchangeDelegation: w.TokenExchangeDelegation, ExchangeImpersonation: w.TokenExchangeImpersonation, IdentityAssertions: assertionsIn(w.IdentityAssertions),
		LeastACR: w.LeastACR, Factors: w.Factors, DefaultMaxAge: w.DefaultMaxAge, RequireAuthTime: w.RequireAuthTime,
		AccessTokenTTL: w.AccessTokenTTL, IDTokenTTL: w.IDTokenTTL, RefreshIdleTTL: w.RefreshIdleTTL, RefreshAbsoluteTTL: w.RefreshAbsoluteTTL,
		TLSSubjectDN: w.TLSClientAuthSubjectDN, TLSSANDNS: w.TLSClientAuthSANDNS, TLSSANURI: w.TLSClientAuthSANURI, TLSSANIP: w.TLSClientAuthSANIP,
		TLSSANEmail: w.TLSClientAuthSANEmail, TLSClientCA: w.TLSClientCA, DPoPBoundAccessTokens: w.DPoPBoundAccessTokens,
		DeliveryMode: w.BackchannelTokenDeliveryMode, BackchannelRequestAlg: w.BackchannelRequestAlg, NotificationEndpoint: w.BackchannelClientNotificationEndpoint,
		DPoPRequireNonce: w.DPoPRequireNonce, TLSBoundAccessTokens: w.TLSBoundAccessTokens,
		DetailTypes: w.AuthorizationDetailsTypes, RequirePushedRequests: w.RequirePushedRequests, RequestObjectAlg: w.RequestObjectSigningAlg, RequestURIs: w.RequestURIs,
		RequireSignedRequestObject: w.RequireSignedRequestObject, AuthorizationAlg: w.AuthorizationSignedResponseAlg,
		RequireSignedResponses: w.RequireSignedResponses,
		Contacts:               w.Contacts, ClientURI: w.ClientURI, PolicyURI: w.PolicyURI, TermsURI: w.TermsURI,
	}
}

func settingsOut(s client.Settings) wire.ClientSettings {
	return wire.ClientSettings{
		Name: s.Name, Type: string(s.Type), Profile: string(s.Profile), ResourceServer: s.ResourceServer, Identifiers: s.Identifiers, ResourceScopes: s.ResourceScopes,
		RedirectURIs: s.RedirectURIs, PostLogoutRedirectURIs: s.PostLogoutRedirectURIs,
		BackChannelLogoutURI: s.BackChannelLogoutURI, BackChannelLogoutSession: s.BackChannelLogoutSession,
		FrontChannelLogoutURI: s.FrontChannelLogoutURI, FrontChannelLogoutSession: s.FrontChannelLogoutSession, GrantTypes: s.GrantTypes, ResponseModes: s.ResponseModes,
		Scopes: s.Scopes, Resources: s.Resources, TokenEndpointAuthMethod: string(s.AuthMethod), TokenEndpointAuthSigningAlg: s.AuthSigningAlg, JWKS: s.JWKS, JWKSURI: s.JWKSURI, AttesterJWKS: s.AttesterJWKS,
		AccessTokenFormat: string(s.AccessTokenFormat), AccessTokenSignedResponseAlg: s.AccessTokenAlg, IDTokenSignedResponseAlg: s.IDTokenAlg,
		UserInfoSignedResponseAlg: s.UserInfoAlg, IntrospectionSignedResponseAlg: s.IntrospectionAlg, OpenIDDefaults: s.OpenIDDefaults,
		SubjectType: string(s.SubjectType), SectorIdentifier: s.Sector, FirstParty: s.FirstParty, PKCEOptional: s.PKCEOptional,
		LegacyAssertionAudience: s.LegacyAssertionAudience, IntrospectAny: s.IntrospectAny, TokenExchangeDelegation: s.ExchangeDelegation, TokenExchangeImpersonation: s.ExchangeImpersonation, IdentityAssertions: assertionsOut(s.IdentityAssertions),
		LeastACR: s.LeastACR, Factors: s.Factors, DefaultMaxAge: s.DefaultMaxAge, RequireAuthTime: s.RequireAuthTime,
		AccessTokenTTL: s.AccessTokenTTL, IDTokenTTL: s.IDTokenTTL, RefreshIdleTTL: s.RefreshIdleTTL, RefreshAbsoluteTTL: s.RefreshAbsoluteTTL,
		TLSClientAuthSubjectDN: s.TLSSubjectDN, TLSClientAuthSANDNS: s.TLSSANDNS, TLSClientAuthSANURI: s.TLSSANURI, TLSClientAuthSANIP: s.TLSSANIP,
		TLSClientAuthSANEmail: s.TLSSANEmail, TLSClientCA: s.TLSClientCA, DPoPBoundAccessTokens: s.DPoPBoundAccessTokens,
		BackchannelTokenDeliveryMode: s.DeliveryMode, BackchannelRequestAlg: s.BackchannelRequestAlg, BackchannelClientNotificationEndpoint: s.NotificationEndpoint,
		DPoPRequireNonce: s.DPoPRequireNonce, TLSBoundAccessTokens: s.TLSBoundAccessTokens,
		AuthorizationDetailsTypes: s.DetailTypes, RequirePushedRequests: s.RequirePushedRequests, RequestObjectSigningAlg: s.RequestObjectAlg, RequestURIs: s.RequestURIs,
		RequireSignedRequestObject: s.RequireSignedRequestObject, AuthorizationSignedResponseAlg: s.AuthorizationAlg,
		RequireSignedResponses: s.RequireSignedResponses,
		Contacts:               s.Contacts, ClientURI: s.ClientURI, PolicyURI: s.PolicyURI, TermsURI: s.TermsURI,
	}
}

func assertionsIn(list []wire.IdentityAssertion) (out []client.Assertion) {
	for _, a := range list {
		out = append(out, client.Assertion{Issuer: a.Issuer, ClientID: a.ClientID, Scopes: a.Scopes, Resources: a.Resources})
	}
	return out
}

func assertionsOut(list []client.Assertion) (out []wire.IdentityAssertion) {
	for _, a := range list {
		out = append(out, wire.IdentityAssertion{Issuer: a.Issuer, ClientID: a.ClientID, Scopes: a.Scopes, Resources: a.Resources})
	}
	return out
}
