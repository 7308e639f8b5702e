package client

import (
	"context"
	"iter"
	"net/http"

	"github.com/cardea-id/cardea/api"
)

// TrustedIssuers are those whose statements about people and services count in
// the realm.
type TrustedIssuers struct{ c *Client }

// List gives one page.
func (s TrustedIssuers) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.TrustedIssuer], error) {
	return list[api.TrustedIssuer](ctx, s.c, "/trusted-issuers", f, c)
}

// All walks every page of List.
func (s TrustedIssuers) All(ctx context.Context, f Filter) iter.Seq2[api.TrustedIssuer, error] {
	return all[api.TrustedIssuer](ctx, s.c, "/trusted-issuers", f)
}

// Get gives one issuer.
func (s TrustedIssuers) Get(ctx context.Context, id string) (api.TrustedIssuer, error) {
	return get[api.TrustedIssuer](ctx, s.c, at("trusted-issuers", id))
}

// Create begins to trust an issuer.
func (s TrustedIssuers) Create(ctx context.Context, n api.TrustedIssuerSettings) (api.TrustedIssuer, error) {
	return send[api.TrustedIssuer](ctx, s.c, http.MethodPost, "/trusted-issuers", n, 0)
}

// Replace replaces the settings of an issuer as a whole. version is the one the
// settings were read with; 0 does not ask whether it changed meanwhile.
func (s TrustedIssuers) Replace(ctx context.Context, id string, version int64, settings api.TrustedIssuerSettings) (api.TrustedIssuer, error) {
	return send[api.TrustedIssuer](ctx, s.c, http.MethodPut, at("trusted-issuers", id), settings, version)
}

// Delete stops trusting an issuer, and ends what was obtained on its word.
func (s TrustedIssuers) Delete(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodDelete, at("trusted-issuers", id), nil, 0)
}

// Subjects gives one page of those who are somebody in the realm.
func (s TrustedIssuers) Subjects(ctx context.Context, id string, c Cursor) (api.Page[api.TrustedSubject], error) {
	return list[api.TrustedSubject](ctx, s.c, at("trusted-issuers", id, "subjects"), nil, c)
}

// Link says who a subject is in the realm.
func (s TrustedIssuers) Link(ctx context.Context, id string, n api.TrustedSubjectCreate) (api.TrustedSubject, error) {
	return send[api.TrustedSubject](ctx, s.c, http.MethodPost, at("trusted-issuers", id, "subjects"), n, 0)
}

// Unlink makes a subject nobody, and ends what was obtained through the link.
func (s TrustedIssuers) Unlink(ctx context.Context, id, link string) error {
	return s.c.call(ctx, http.MethodDelete, at("trusted-issuers", id, "subjects", link), nil, 0)
}
