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
	fetchedGrace   = 10 * time.Minute // how long keys outlive that while their address fails
	fetchedFloor   = time.Minute      // an unknown kid fetches again, but not more often
	fetchFailed    = 10 * time.Second
)

// keyFor returns the key that may have signed a client's assertion, and the
// credential that it is. jose.ErrKey says that there is none.
func (s *Server) keyFor(ctx context.Context, c *client.Client, kid, alg string) (*jose.PublicKey, string, error) {
	if c.Principal == "" {
		key, err := s.unsettledKey(ctx, c, kid, alg)
		return key, "", err
	}
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
	set, err := s.fetched.get(ctx, s.fetch, c.Realm+" "+c.ID, c.JWKSURI, s.now(), func(set jose.Set) bool { return set.Find(kid, alg) != nil })
	if err != nil {
		return nil, "", err
	}
	if key := set.Find(kid, alg); key != nil {
		return key, keySet.ID, nil
	}
	return nil, "", jose.ErrKey
}

// fetchedSets remembers key sets by the client that they are of. Their number
// is bounded, and whoever is forgotten fetches again.
type fetchedSets struct {
	mu   sync.Mutex
	sets map[string]*fetchedSet
}

// fetchedSet is one of them.
type fetchedSet struct {
	uri     string
	loading sync.Mutex // held by the one request that fetches, others wait for it

	mu      sync.Mutex // guards the rest, never held over a fetch
	set     jose.Set
	err     error     // why the last fetch failed
	fetched time.Time // when it was tried
	fresh   time.Time // until when set needs no fetch
	until   time.Time // until when set counts, though fetches fail
}

// get returns the keys that owner publishes at uri, fetched if what is
// remembered is too old or not enough. A fetch serves everybody who waits for
// it, so it does not end with the request that began it; the fetcher bounds it.
func (f *fetchedSets) get(ctx context.Context, fetch *web.Fetcher, owner, uri string, now time.Time, enough func(jose.Set) bool) (jose.Set, error) {
	one := f.entry(owner, uri)
	if set, err, due := one.have(now, enough); !due {
		return set, err
	}
	one.loading.Lock()
	defer one.loading.Unlock()
	set, err, due := one.have(now, enough)
	if due {
		one.load(context.WithoutCancel(ctx), fetch, now)
		set, err, _ = one.have(now, enough)
	}
	return set, err
}

// entry finds what is remembered of an owner, and forgets somebody else when
// there are too many.
func (f *fetchedSets) entry(owner, uri string) *fetchedSet {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.sets[owner]; one != nil && one.uri == uri {
		return one
	}
	if f.sets == nil {
		f.sets = map[string]*fetchedSet{}
	}
	for other := range f.sets {
		if len(f.sets) < maxFetchedSets {
			break
		}
		delete(f.sets, other)
	}
	one := &fetchedSet{uri: uri}
	f.sets[owner] = one
	return one
}

// have returns what is remembered, and whether it is time to fetch. An error
// says that the answer may lie in a set that could not be fetched.
func (one *fetchedSet) have(now time.Time, enough func(jose.Set) bool) (set jose.Set, err error, due bool) {
	one.mu.Lock()
	defer one.mu.Unlock()
	if now.Before(one.until) {
		set = one.set
	}
	stale, good := !now.Before(one.fresh), enough(set)
	due = stale || !good && one.set != nil && now.Sub(one.fetched) >= fetchedFloor
	if good && set != nil {
		return set, nil, due
	}
	if one.err != nil {
		return nil, one.err, due
	}
	return set, nil, due
}

// load fetches the set. When that fails, keys that were fetched before count
// for a while only: the client may have withdrawn them.
func (one *fetchedSet) load(ctx context.Context, fetch *web.Fetcher, now time.Time) {
	set, life, err := fetchKeys(ctx, fetch, one.uri)
	one.mu.Lock()
	defer one.mu.Unlock()
	one.fetched, one.err = now, err
	if err == nil {
		one.set, one.fresh, one.until = set, now.Add(life), now.Add(life+fetchedGrace)
		return
	}
	if again := now.Add(fetchFailed); again.After(one.fresh) {
		one.fresh = again
	}
	if !now.Before(one.until) {
		one.set = nil
	}
}

// fetchKeys fetches a set, and tells how long it may be used.
func fetchKeys(ctx context.Context, fetch *web.Fetcher, uri string) (jose.Set, time.Duration, error) {
	doc, err := fetch.Get(ctx, uri)
	if err != nil {
		return nil, 0, fault.New(fault.Unavailable, "client_keys_unreachable", "the client's jwks_uri cannot be fetched; try again").WithRetry(fetchFailed)
	}
	set, err := credential.ParseKeys(doc.Body)
	if err != nil {
		return nil, 0, jose.ErrBadKey
	}
	life := fetchedLife
	if doc.MaxAge > 0 {
		life = min(max(doc.MaxAge, fetchedFloor), fetchedLife)
	}
	return set, life, nil
}
