package verify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// How long keys are kept. The issuer publishes a key for twice maxKeyAge before
// it signs, so a verifier that fetches in time never meets an unknown one.
const (
	maxKeyAge = 300 * time.Second
	minKeyAge = 10 * time.Second
	// unknownKeyGap is how often an unknown key may cause a fetch: forged tokens
	// must not make this verifier hammer the issuer.
	unknownKeyGap = time.Second
	maxDocument   = 1 << 20
)

// keySource holds the issuer's published keys.
type keySource struct {
	c *Config
	// withdrawn is called when a key is no longer published: what it signed
	// must not be taken from memory.
	withdrawn func()

	mu      sync.Mutex // one fetch at a time
	jwksURI string
	tried   time.Time // last fetch that an unknown key caused

	read    sync.RWMutex
	set     jose.Set
	fetched time.Time
	maxAge  time.Duration
}

func (s *keySource) current() jose.Set {
	s.read.RLock()
	defer s.read.RUnlock()
	return s.set
}

// due returns when the keys should be fetched again: a little before they
// become too old.
func (s *keySource) due() time.Time {
	s.read.RLock()
	defer s.read.RUnlock()
	return s.fetched.Add(s.maxAge * 4 / 5)
}

// withKey returns the keys, fetched once more if they lack kid and the last
// such attempt was long enough ago.
func (s *keySource) withKey(ctx context.Context, kid, alg string) (jose.Set, error) {
	set := s.current()
	if set.Find(kid, alg) != nil {
		return set, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if set = s.current(); set.Find(kid, alg) != nil {
		return set, nil
	}
	now := s.c.Now()
	if wait := now.Sub(s.tried); set != nil && wait >= 0 && wait < unknownKeyGap {
		return set, nil
	}
	s.tried = now
	if err := s.fetch(ctx); err != nil && set == nil {
		return nil, err
	}
	return s.current(), nil
}

// refresh fetches the keys now.
func (s *keySource) refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetch(ctx)
}

func (s *keySource) fetch(ctx context.Context) error {
	if s.jwksURI == "" {
		if err := s.discover(ctx); err != nil {
			return err
		}
	}
	began := s.c.Now()
	body, maxAge, err := s.c.fetch(ctx, s.jwksURI, "application/jwk-set+json, application/json", maxDocument)
	if err != nil {
		return err
	}
	set, err := jose.ParseSet(body)
	if err != nil {
		return fmt.Errorf("verify: keys of %s: %w", s.c.Issuer, err)
	}
	if len(set) == 0 {
		return fmt.Errorf("verify: %s publishes no usable key", s.c.Issuer)
	}
	s.read.Lock()
	old := s.set
	s.set, s.fetched, s.maxAge = set, began, min(max(maxAge, minKeyAge), maxKeyAge)
	s.read.Unlock()
	for _, k := range old {
		if again := set.Find(k.ID, k.Alg); again == nil || !again.Equal(k) {
			s.withdrawn()
			break
		}
	}
	return nil
}

// discover reads where the keys are (OpenID Connect Discovery 1.0, section 4).
func (s *keySource) discover(ctx context.Context) error {
	body, _, err := s.c.fetch(ctx, s.c.Issuer+"/.well-known/openid-configuration", "application/json", maxDocument)
	if err != nil {
		return err
	}
	doc, err := jose.ParseObject(body)
	if err != nil {
		return fmt.Errorf("verify: discovery document of %s: %w", s.c.Issuer, err)
	}
	if iss, _ := doc.String("issuer"); iss != s.c.Issuer {
		return fmt.Errorf("verify: %s says that its issuer is %q", s.c.Issuer, iss)
	}
	uri, _ := doc.String("jwks_uri")
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return errors.New("verify: the issuer's jwks_uri is not an https URL")
	}
	s.jwksURI = uri
	return nil
}
