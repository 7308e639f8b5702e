package oauth

import (
	"context"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// RateDocument is the rate class of reading documents at addresses that
// strangers chose, by the address of the stranger.
const RateDocument = "client-document"

// application finds the client that an authorization request is about. One
// whose id is the address of its metadata is what they say today.
func (s *Server) application(ctx context.Context, rl *realm.Realm, id string) (*client.Client, error) {
	if !client.IsDocument(id) {
		return s.clients.Live(ctx, rl.Name, id)
	}
	return s.registrations.Document(ctx, rl, id, func() error { return s.mayRead(ctx) })
}

// Shown finds a client for the pages.
func (s *Server) Shown(ctx context.Context, rl *realm.Realm, id string) (*client.Client, error) {
	return s.registrations.Shown(ctx, rl, id, func() error { return s.mayRead(ctx) })
}

// party finds the client that calls an endpoint for clients. What it was given
// it keeps, though its document may have vanished; one that was given nothing
// yet is known by its document alone.
func (s *Server) party(ctx context.Context, rl *realm.Realm, id string) (*client.Client, error) {
	if client.IsDocument(id) {
		if err := s.registrations.Admits(rl, id); err != nil {
			return nil, err
		}
	}
	c, err := s.clients.Live(ctx, rl.Name, id)
	if fault.Is(err, fault.NotFound) && client.IsDocument(id) {
		return s.application(ctx, rl, id)
	}
	return c, err
}

// mayRead holds whoever makes us read documents to a rate.
func (s *Server) mayRead(ctx context.Context) error {
	if s.limiter == nil {
		return nil
	}
	if wait, ok := s.limiter.AllowAddr(RateDocument, web.ClientIP(ctx)); !ok {
		return fault.New(fault.TooMany, "too_many_requests", "too many applications that nobody knows are tried from your network, wait a moment").WithRetry(wait)
	}
	return nil
}

// unsettledKey is keyFor for a client that is no row yet, and so has no
// credential that anything could hang on.
func (s *Server) unsettledKey(ctx context.Context, c *client.Client, kid, alg string) (*jose.PublicKey, error) {
	var set jose.Set
	var err error
	if c.JWKSURI != "" {
		set, err = s.fetched.get(ctx, s.fetch, c.Realm+" "+c.ID, c.JWKSURI, s.now(), func(set jose.Set) bool { return set.Find(kid, alg) != nil })
	} else {
		set, err = credential.ParseKeys([]byte(c.JWKS))
	}
	if err != nil {
		return nil, err
	}
	if key := set.Find(kid, alg); key != nil {
		return key, nil
	}
	return nil, jose.ErrKey
}
