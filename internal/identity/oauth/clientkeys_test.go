package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
		return sets.get(context.Background(), fetch, server.URL, now, func(s jose.Set) bool { return s.Find(kid, jose.ES256) != nil })
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
	now = now.Add(11 * time.Minute)
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
	if _, err := fresh.get(context.Background(), web.NewFetcher(web.FetchOptions{}), server.URL, now, func(jose.Set) bool { return true }); err == nil || hits.Load() != before {
		t.Errorf("this machine was asked for keys: %v", err)
	}
}
