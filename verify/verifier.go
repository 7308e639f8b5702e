package verify

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// Verifier checks the access tokens of one issuer for one audience. It is safe
// for concurrent use.
type Verifier struct {
	c      Config
	keys   *keySource
	state  *state
	tokens *tokenCache
	lists  *poller
	nonces jose.Nonces
	own    *http.Transport // nil: HTTPClient was set
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// catchUp is how long Verify waits for the stream when a token names a status
// list that is newer than the stream so far.
const catchUp = time.Second

// New checks c and starts to follow the issuer. It does not wait for the issuer
// to answer, so that an API can start before it; use Wait for that. The Verifier
// works until Close is called or ctx ends.
func New(ctx context.Context, c Config) (*Verifier, error) {
	var own *http.Transport
	if c.HTTPClient == nil {
		own = Transport()
		c.HTTPClient = &http.Client{Transport: own}
	}
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	v := &Verifier{c: c, own: own, tokens: newTokenCache(max(c.CacheTokens, 0)), nonces: jose.NewNonces(c.DPoPNonceKey)}
	v.keys = &keySource{c: &v.c, withdrawn: v.tokens.clear}
	v.state = newState(&v.c)
	v.lists = newPoller(v)
	ctx, v.stop = context.WithCancel(ctx)
	v.wg.Go(func() { v.keepKeys(ctx) })
	if c.Credentials != nil {
		f := &follower{v: v}
		v.wg.Go(func() { f.run(ctx) })
	}
	return v, nil
}

// Close stops following and waits until it has ended. Tokens are then refused
// as stale, or treated as Mode says.
func (v *Verifier) Close() {
	v.stop()
	v.wg.Wait()
	if v.own != nil {
		v.own.CloseIdleConnections()
	}
}

// Wait returns when the verifier has the issuer's keys and, if it follows the
// stream, knows what is revoked; or when ctx ends.
func (v *Verifier) Wait(ctx context.Context) error {
	for {
		news := v.state.news()
		if v.keys.current() != nil && (v.c.Credentials == nil || v.state.fresh(v.c.Now())) {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), v.state.lastError())
		}
	}
}

// Status is what a health check or a page for operators may show.
type Status struct {
	Fresh    bool      // the revocation state is known to be younger than MaxStaleness
	AsOf     time.Time // when the last signed sign of life was made, by this machine's clock
	Position string    // how far in the issuer's log, "epoch.seq"
	Lists    int       // status lists held
	Err      error     // the last trouble, nil since the stream runs
}

// Status returns how the verifier fares.
func (v *Verifier) Status() Status { return v.state.status() }

// Verify checks a bearer token (without "Bearer") and returns what it says, or
// an [*Error]. A token that is bound to a key or certificate is refused: only
// Request and Protect see what a request shows. It asks the network only for a
// key or list it has not seen.
func (v *Verifier) Verify(ctx context.Context, token string) (*Token, error) {
	t, err := v.living(ctx, token)
	if err != nil {
		return nil, err
	}
	if t.KeyThumbprint != "" || t.CertThumbprint != "" {
		return nil, refuse(ErrBound, "a bound token is no bearer token")
	}
	return t, nil
}

// living is Verify, but for what the token is bound to.
func (v *Verifier) living(ctx context.Context, token string) (*Token, error) {
	t, err := v.genuine(ctx, token)
	if err != nil {
		return nil, err
	}
	now := v.c.Now()
	if !now.Before(t.Expires) {
		return nil, refuse(ErrExpired, "")
	}
	if err := v.alive(ctx, t, now); err != nil {
		return nil, err
	}
	return t, nil
}

// genuine returns the token if it is signed by the issuer for this audience.
func (v *Verifier) genuine(ctx context.Context, token string) (*Token, error) {
	if len(token) > jose.MaxBytes {
		return nil, refuse(ErrInvalid, "longer than any token")
	}
	key := sha256.Sum256([]byte(token))
	if t := v.tokens.get(key); t != nil {
		return t, nil
	}
	t, err := v.verified(ctx, token)
	if err != nil {
		return nil, err
	}
	v.tokens.put(key, t)
	return t, nil
}

func (v *Verifier) verified(ctx context.Context, token string) (*Token, error) {
	if strings.HasPrefix(token, "cdo_") {
		return nil, refuse(ErrInvalid, "an opaque token can only be introspected at the issuer")
	}
	u, err := jose.Parse(token, 0)
	if err != nil {
		return nil, refuse(ErrInvalid, err.Error())
	}
	keys, err := v.keys.withKey(ctx, u.Kid, u.Alg)
	if err != nil {
		return nil, refuse(ErrStale, "the issuer's keys cannot be fetched")
	}
	signed, err := u.Verify(jose.Want{Typ: []string{"at+jwt"}, Keys: keys})
	if err != nil {
		return nil, refuse(ErrInvalid, err.Error())
	}
	err = signed.Claims.Check(jose.Expect{Now: v.c.Now(), Issuer: v.c.Issuer, Audience: []string{v.c.Audience}, NeedIssuedAt: true})
	if errors.Is(err, jose.ErrExpired) {
		return nil, refuse(ErrExpired, "")
	}
	if err != nil {
		return nil, refuse(ErrInvalid, err.Error())
	}
	t, err := readToken(signed)
	if err != nil {
		return nil, refuse(ErrInvalid, err.Error())
	}
	return t, nil
}

// alive says whether the token was revoked, or what the mode makes of not
// knowing.
func (v *Verifier) alive(ctx context.Context, t *Token, now time.Time) error {
	if v.state.fresh(now) {
		err := v.state.check(t)
		if errors.Is(err, errBehind) {
			err = v.catchUp(ctx, t)
		}
		return err
	}
	// What is known to be dead stays dead, however old the news.
	if err := v.state.check(t); errors.Is(err, ErrRevoked) {
		return err
	}
	switch v.c.Mode {
	case Poll:
		return v.lists.check(ctx, t, now)
	case Accept:
		return nil
	}
	return refuse(ErrStale, "no sign of life from the issuer")
}

// catchUp waits until the stream has reached the token's minting.
func (v *Verifier) catchUp(ctx context.Context, t *Token) error {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for {
		news := v.state.news()
		if err := v.state.check(t); !errors.Is(err, errBehind) {
			return err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return refuse(ErrStale, "the token is newer than the stream")
		}
	}
}

// keepKeys fetches the issuer's keys before they become too old.
func (v *Verifier) keepKeys(ctx context.Context) {
	for {
		wait := time.Second
		if err := v.keys.refresh(ctx); err != nil {
			v.trouble(ctx, err)
		} else {
			wait = max(v.keys.due().Sub(v.c.Now()), time.Second)
			v.state.tell()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// trouble notes an error unless it only says that the verifier was closed.
func (v *Verifier) trouble(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	v.state.failed(err)
	if v.c.OnError != nil {
		v.c.OnError(err)
	}
}
