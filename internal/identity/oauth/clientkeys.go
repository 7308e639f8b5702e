package oauth

import (
	"context"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/web"
)

// Bounds of what is remembered of clients' jwks_uri.
const (
	maxFetchedSets = 1000
	fetchedLife    = 10 * time.Minute
	fetchedFloor   = time.Minute // an unknown kid fetches again, but not more often
	fetchFailed    = 10 * time.Second
)

// keyFor returns the key that may have signed a client's assertion, and the
// credential that it is. jose.ErrKey says that there is none.
func (s *Server) keyFor(ctx context.Context, c *client.Client, kid, alg string) (*jose.PublicKey, string, error) {
	if c.JWKSURI != "" {
		return s.publishedKey(ctx, c, kid, alg)
	}
	keys, err := s.credentials.Keys(ctx, c.Realm, c.Principal)
	if err != nil {
		return nil, "", err
	}
	set := make(jose.Set, len(keys))
	for i := range keys {
		set[i] = keys[i].Key
	}
	key := set.Find(kid, alg)
	for i := range keys {
		if key != nil && keys[i].Key == key {
			return key, keys[i].ID, nil
		}
	}
	return nil, "", jose.ErrKey
}

// publishedKey looks where the client publishes its keys.
func (s *Server) publishedKey(ctx context.Context, c *client.Client, kid, alg string) (*jose.PublicKey, string, error) {
	keySet, err := s.credentials.KeySet(ctx, c.Realm, c.Principal)
	if fault.Is(err, fault.NotFound) {
		return nil, "", jose.ErrKey
	}
	if err != nil {
		return nil, "", err
	}
	set, err := s.fetched.get(ctx, s.fetch, c.JWKSURI, s.now(), func(set jose.Set) bool { return set.Find(kid, alg) != nil })
	if err != nil {
		return nil, "", err
	}
	if key := set.Find(kid, alg); key != nil {
		return key, keySet.ID, nil
	}
	return nil, "", jose.ErrKey
}

// fetchedSets remembers key sets by their address. Clients choose the address,
// so the number is bounded and whoever is over it fetches again.
type fetchedSets struct {
	mu   sync.Mutex
	sets map[string]*fetchedSet
}

// fetchedSet is one of them. Its lock makes concurrent requests wait for one
// fetch instead of each starting their own.
type fetchedSet struct {
	mu      sync.Mutex
	set     jose.Set
	err     error
	fetched time.Time
	fresh   time.Time // until when it needs no fetch
}

func (f *fetchedSets) get(ctx context.Context, fetch *web.Fetcher, uri string, now time.Time, enough func(jose.Set) bool) (jose.Set, error) {
	one := f.entry(uri)
	one.mu.Lock()
	defer one.mu.Unlock()
	stale := !now.Before(one.fresh)
	unknown := one.err == nil && !enough(one.set) && now.Sub(one.fetched) >= fetchedFloor
	if stale || unknown {
		one.load(ctx, fetch, uri, now)
	}
	return one.set, one.err
}

func (f *fetchedSets) entry(uri string) *fetchedSet {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.sets[uri]; one != nil {
		return one
	}
	if f.sets == nil || len(f.sets) >= maxFetchedSets {
		f.sets = map[string]*fetchedSet{}
	}
	one := &fetchedSet{}
	f.sets[uri] = one
	return one
}

// load fetches the set. When that fails, keys that were fetched before are not
// used on: the client may have withdrawn them.
func (one *fetchedSet) load(ctx context.Context, fetch *web.Fetcher, uri string, now time.Time) {
	one.fetched = now
	doc, err := fetch.Get(ctx, uri)
	if err != nil {
		one.set, one.fresh = nil, now.Add(fetchFailed)
		one.err = fault.New(fault.Unavailable, "client_keys_unreachable", "the client's jwks_uri cannot be fetched; try again").WithRetry(fetchFailed)
		return
	}
	set, err := credential.ParseKeys(doc.Body)
	if err != nil {
		one.set, one.err, one.fresh = nil, jose.ErrBadKey, now.Add(fetchFailed)
		return
	}
	life := fetchedLife
	if doc.MaxAge > 0 {
		life = min(max(doc.MaxAge, fetchedFloor), fetchedLife)
	}
	one.set, one.err, one.fresh = set, nil, now.Add(life)
}
