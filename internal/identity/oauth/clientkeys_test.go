package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/web"
)

// TestPublishedKeys: AZ-11. A client's jwks_uri is fetched when it is needed,
// kept for minutes, fetched again for an unknown key but not for each, and
// what cannot be fetched is no key; an address of this machine never is.
func TestPublishedKeys(t *testing.T) {
	key, err := jose.Generate("k1", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	var hits atomic.Int64
	var down atomic.Bool
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		if down.Load() {
			w.WriteHeader(500)
			return
		}
		_, _ = w.Write(jose.Set{key.Public()}.JSON())
	}))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	fetch := web.NewFetcher(web.FetchOptions{AllowHosts: []string{strings.TrimPrefix(server.URL, "https://")}, TLS: &tls.Config{RootCAs: roots}})

	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var sets fetchedSets
	get := func(kid string) (jose.Set, error) {
		return sets.get(context.Background(), fetch, "client", server.URL, now, func(s jose.Set) bool { return s.Find(kid, jose.ES256) != nil })
	}
	for range 3 {
		if set, err := get("k1"); err != nil || len(set) != 1 || hits.Load() != 1 {
			t.Fatalf("%v %v, fetched %d times", set, err, hits.Load())
		}
	}
	if _, err := get("k2"); err != nil || hits.Load() != 1 {
		t.Errorf("an unknown key within a minute: %v, fetched %d times", err, hits.Load())
	}
	now = now.Add(2 * time.Minute)
	for range 3 {
		if _, err := get("k2"); err != nil || hits.Load() != 2 {
			t.Errorf("an unknown key: %v, fetched %d times", err, hits.Load())
		}
	}
	down.Store(true)
	now = now.Add(fetchedLife + fetchedGrace)
	for range 3 {
		if set, err := get("k1"); !fault.Is(err, fault.Unavailable) || len(set) != 0 || hits.Load() != 3 {
			t.Errorf("unreachable: %v %v, fetched %d times", set, err, hits.Load())
		}
	}
	down.Store(false)
	now = now.Add(fetchFailed)
	if set, err := get("k1"); err != nil || len(set) != 1 {
		t.Errorf("back again: %v %v", set, err)
	}
	before := hits.Load()
	var fresh fetchedSets
	if _, err := fresh.get(context.Background(), web.NewFetcher(web.FetchOptions{}), "client", server.URL, now, func(jose.Set) bool { return true }); err == nil || hits.Load() != before {
		t.Errorf("this machine was asked for keys: %v", err)
	}
}

// published is a client's jwks_uri, which counts who asks and can be down.
type published struct {
	hits, status atomic.Int64
	body         atomic.Value
	fetch        *web.Fetcher
	url          string
}

func publish(t *testing.T, key *jose.Key) *published {
	t.Helper()
	p := &published{}
	p.body.Store(jose.Set{key.Public()}.JSON())
	p.status.Store(200)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hits.Add(1)
		w.WriteHeader(int(p.status.Load()))
		_, _ = w.Write(p.body.Load().([]byte))
	}))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	p.url = server.URL
	p.fetch = web.NewFetcher(web.FetchOptions{AllowHosts: []string{strings.TrimPrefix(server.URL, "https://")}, TLS: &tls.Config{RootCAs: roots}})
	return p
}

// TestStrangersDoNotSpoilPublishedKeys: AZ-11. Whoever hangs up, or names a key
// that nobody has, does not take a client's good keys away; a failing jwks_uri
// does so after a while only, since the client may have withdrawn them.
func TestStrangersDoNotSpoilPublishedKeys(t *testing.T) {
	key, err := jose.Generate("k1", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	for name, breaks := range map[string]func(p *published){
		"down":    func(p *published) { p.status.Store(500) },
		"no keys": func(p *published) { p.body.Store([]byte("<html>")) },
	} {
		t.Run(name, func(t *testing.T) {
			p := publish(t, key)
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			var sets fetchedSets
			get := func(ctx context.Context, kid string) error {
				set, err := sets.get(ctx, p.fetch, "client", p.url, now, func(s jose.Set) bool { return s.Find(kid, jose.ES256) != nil })
				if err == nil && set.Find(kid, jose.ES256) == nil {
					return jose.ErrKey
				}
				return err
			}
			ctx := context.Background()
			gone, hangUp := context.WithCancel(ctx)
			hangUp()
			if err := get(gone, "k1"); err != nil {
				t.Fatalf("the first who asks has hung up: %v", err)
			}
			now = now.Add(fetchedFloor)
			if err := get(gone, "stranger"); err != jose.ErrKey {
				t.Errorf("a stranger who has hung up: %v", err)
			}
			breaks(p)
			now = now.Add(fetchedFloor)
			if err := get(ctx, "stranger"); err == nil || err == jose.ErrKey {
				t.Errorf("nobody knows whether that key exists: %v", err)
			}
			if err := get(ctx, "k1"); err != nil || p.hits.Load() != 3 {
				t.Errorf("good keys after an unknown one: %v, fetched %d times", err, p.hits.Load())
			}
			now = now.Add(fetchedLife)
			if err := get(ctx, "k1"); err != nil || p.hits.Load() != 4 {
				t.Errorf("good keys that are due: %v, fetched %d times", err, p.hits.Load())
			}
			now = now.Add(fetchFailed)
			if err := get(ctx, "k1"); err != nil || p.hits.Load() != 5 {
				t.Errorf("good keys that are overdue: %v, fetched %d times", err, p.hits.Load())
			}
			now = now.Add(fetchedGrace)
			if err := get(ctx, "k1"); err == nil {
				t.Error("keys are used for ever while their address fails")
			}
		})
	}
}

// TestFetchedSetsOfOthers: clients share neither what is fetched nor the wait
// between two fetches, and there is an end to how many sets are remembered.
func TestFetchedSetsOfOthers(t *testing.T) {
	key, err := jose.Generate("k1", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	p := publish(t, key)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var sets fetchedSets
	for _, owner := range []string{"a", "b"} {
		for range 2 {
			if _, err := sets.get(context.Background(), p.fetch, owner, p.url, now, func(jose.Set) bool { return false }); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p.hits.Load() != 2 {
		t.Errorf("fetched %d times for two clients", p.hits.Load())
	}
	for i := range 2 * maxFetchedSets {
		sets.entry(fmt.Sprint(i), p.url)
	}
	if len(sets.sets) > maxFetchedSets {
		t.Errorf("%d sets are remembered", len(sets.sets))
	}
}
