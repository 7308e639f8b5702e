package client

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/cardea-id/cardea/api"
)

// Clients are the applications that rely on the realm.
type Clients struct{ c *Client }

// List gives one page.
func (s Clients) List(ctx context.Context, f Filter, c Cursor) (api.Page[api.Client], error) {
	return list[api.Client](ctx, s.c, "/clients", f, c)
}

// All walks every page of List.
func (s Clients) All(ctx context.Context, f Filter) iter.Seq2[api.Client, error] {
	return all[api.Client](ctx, s.c, "/clients", f)
}

// Get gives one client.
func (s Clients) Get(ctx context.Context, id string) (api.Client, error) {
	path, err := s.path(ctx, id)
	if err != nil {
		return api.Client{}, err
	}
	return get[api.Client](ctx, s.c, path)
}

// Create registers a client and gives its secret, if it has one, this once.
func (s Clients) Create(ctx context.Context, n api.ClientCreate) (api.ClientWithSecret, error) {
	return mint[api.ClientWithSecret](ctx, s.c, "/clients", n)
}

// Replace replaces the settings of a client as a whole. version is the one the
// settings were read with; 0 does not ask whether it changed meanwhile.
func (s Clients) Replace(ctx context.Context, id string, version int64, settings api.ClientSettings) (api.ClientWithSecret, error) {
	path, err := s.path(ctx, id)
	if err != nil {
		return api.ClientWithSecret{}, err
	}
	return send[api.ClientWithSecret](ctx, s.c, http.MethodPut, path, settings, version)
}

// Delete ends a client for ever, and everything it was given.
func (s Clients) Delete(ctx context.Context, id string) error {
	path, err := s.path(ctx, id)
	if err != nil {
		return err
	}
	return s.c.call(ctx, http.MethodDelete, path, nil, 0)
}

// Enable lets a disabled client ask for tokens again.
func (s Clients) Enable(ctx context.Context, id string) (api.Client, error) {
	return s.turn(ctx, id, "enable")
}

// Disable ends everything a client was given and gives it nothing more.
func (s Clients) Disable(ctx context.Context, id string) (api.Client, error) {
	return s.turn(ctx, id, "disable")
}

func (s Clients) turn(ctx context.Context, id, to string) (api.Client, error) {
	path, err := s.path(ctx, id, to)
	if err != nil {
		return api.Client{}, err
	}
	return send[api.Client](ctx, s.c, http.MethodPost, path, nil, 0)
}

// path is where a client is. An id that is an address, as that of a client with a
// metadata document, stands in no path: its service is looked up.
func (s Clients) path(ctx context.Context, id string, more ...string) (string, error) {
	if !strings.Contains(id, "/") {
		return at(append([]string{"clients", id}, more...)...), nil
	}
	for c, err := range s.All(ctx, nil) {
		if err != nil {
			return "", err
		}
		if c.ID == id {
			return at(append([]string{"clients", c.Principal}, more...)...), nil
		}
	}
	return "", &Problem{Problem: api.Problem{Status: http.StatusNotFound, Code: "client_unknown", Detail: "there is no client " + id}}
}

// Secrets lists a client's secrets, without what they are.
func (s Clients) Secrets(ctx context.Context, id string) (api.Page[api.Credential], error) {
	return list[api.Credential](ctx, s.c, at("clients", id, "secrets"), nil, Cursor{})
}

// AddSecret makes another secret; two can be live. life 0 is without end.
func (s Clients) AddSecret(ctx context.Context, id string, life time.Duration) (api.ClientSecret, error) {
	return mint[api.ClientSecret](ctx, s.c, at("clients", id, "secrets"), api.ClientSecretCreate{ExpiresIn: int64(life / time.Second)})
}

// RevokeSecret ends a secret and everything that was obtained with it.
func (s Clients) RevokeSecret(ctx context.Context, id, secret string) error {
	return s.c.call(ctx, http.MethodDelete, at("clients", id, "secrets", secret), nil, 0)
}

// SigningKeys are the keys that sign the realm's tokens.
type SigningKeys struct{ c *Client }

// List gives every key the realm ever had.
func (s SigningKeys) List(ctx context.Context) (api.Page[api.SigningKey], error) {
	return list[api.SigningKey](ctx, s.c, "/signing-keys", nil, Cursor{})
}

// Get gives one key.
func (s SigningKeys) Get(ctx context.Context, id string) (api.SigningKey, error) {
	return get[api.SigningKey](ctx, s.c, at("signing-keys", id))
}

// Rotate makes the successor of the key that signs with an algorithm.
func (s SigningKeys) Rotate(ctx context.Context, n api.SigningKeyRotate) (api.SigningKey, error) {
	return send[api.SigningKey](ctx, s.c, http.MethodPost, "/signing-keys", n, 0)
}

// Revoke withdraws a key in an emergency: all it signed is dead.
func (s SigningKeys) Revoke(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodPost, at("signing-keys", id, "revoke"), nil, 0)
}

// Retire takes a key that no longer or not yet signs out of the key set.
func (s SigningKeys) Retire(ctx context.Context, id string) error {
	return s.c.call(ctx, http.MethodPost, at("signing-keys", id, "retire"), nil, 0)
}
