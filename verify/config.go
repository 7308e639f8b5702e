package verify

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Mode says what a verifier does while it cannot know what was revoked.
type Mode int

const (
	// Refuse refuses every token with ErrStale.
	Refuse Mode = iota
	// Poll fetches the signed status list that a token names and uses it for as
	// long as the list says (30 seconds at most). A revoked grant is refused
	// after that time; killing a whole client, key or issuer, and single tokens,
	// show only on the stream. A Verifier without Credentials always polls.
	Poll
	// Accept takes tokens on their signature and times alone: one that was
	// revoked lives until it expires.
	Accept
)

// String returns the name of the mode in configurations: refuse, ttl or accept.
func (m Mode) String() string {
	switch m {
	case Poll:
		return "ttl"
	case Accept:
		return "accept"
	}
	return "refuse"
}

// ParseMode reads what String writes.
func ParseMode(s string) (Mode, error) {
	for _, m := range []Mode{Refuse, Poll, Accept} {
		if m.String() == s {
			return m, nil
		}
	}
	return Refuse, fmt.Errorf("verify: mode %q is none of refuse, ttl, accept", s)
}

// Config is what a Verifier needs to know. Issuer and Audience must be set.
type Config struct {
	// Issuer is the issuer URL exactly as in the iss claim. It must be https,
	// except on the loopback interface.
	Issuer string
	// Audience is how the issuer knows this resource server: tokens whose aud
	// does not contain it are refused.
	Audience string
	// Credentials open the revocation stream. Without them the verifier polls
	// status lists, which are public, and Mode must not be Refuse.
	Credentials Credentials
	// Mode is what to do while the stream is silent.
	Mode Mode
	// MaxStaleness is how old the last signed sign of life may be. Default 5 s;
	// at least 2 s, since one comes each second.
	MaxStaleness time.Duration
	// HTTPClient makes all requests, if set; its Timeout is not used, because the
	// stream is one long answer. Redirects are never followed. Build its transport
	// on Transport, so that the stream comes back after a cut.
	HTTPClient *http.Client
	// OnChange, if set, is called for every change that arrives on the stream, in
	// order and on one goroutine: it must return soon.
	OnChange func(Change)
	// OnError, if set, is told why the stream was interrupted or keys could not be
	// fetched. The verifier goes on trying by itself.
	OnError func(error)
	// CacheTokens is how many verified tokens are remembered, so that their
	// signature is not checked again. Default 10,000; negative remembers none.
	CacheTokens int
	// MaxStateBytes bounds the revocation state that the stream may send.
	// Default 64 MiB, room for some hundred million grants with few dead.
	MaxStateBytes int64
	// URL is the origin under which callers reach this API, such as
	// https://api.example.com, with the path that a proxy takes away, if any:
	// DPoP proofs name it (RFC 9449). It is never taken from a request. Default:
	// the origin of Audience, if that is a URL. Where there is neither, tokens
	// that are bound to a key are refused.
	URL string
	// ClientCertificate finds the certificate of a request, for tokens that are
	// bound to one (RFC 8705). Default CertificateFromTLS.
	ClientCertificate func(*http.Request) (*x509.Certificate, error)
	// SeenProof remembers the id of a DPoP proof until a time and reports whether
	// it had been seen before. Default: the memory of this process, which bounds
	// how many it holds and refuses beyond that. Set it where several processes
	// serve the same URL, or demand nonces under a key that is new with each start:
	// what this process remembers ends with it.
	SeenProof func(ctx context.Context, id string, until time.Time) (bool, error)
	// DPoPNonceKey, if set, demands nonces in DPoP proofs (RFC 9449, section 9):
	// at least 32 random bytes, the same for all processes behind one URL.
	DPoPNonceKey []byte
	// ResourceMetadata is where the metadata of this API is (RFC 9728), such as
	// Metadata.URL gives: challenges name it, so that clients which know the API
	// alone find out where to get a token. Default: they do not.
	ResourceMetadata string
	// Now replaces the clock in tests.
	Now func() time.Time
}

// Change tells of news on the stream.
type Change struct {
	At       time.Time // when it was applied here
	Position string    // its place in the issuer's log, "epoch.seq"
	Snapshot bool      // the whole state was loaded anew
	Revoked  int       // how many status bits and single tokens it killed
	Cutoffs  int       // how many cut-offs it brought
}

// checked returns the configuration with its defaults, or what is wrong with it.
func (c Config) checked() (Config, error) {
	var problems []error
	if err := checkIssuer(c.Issuer); err != nil {
		problems = append(problems, err)
	}
	if c.Audience == "" {
		problems = append(problems, errors.New("verify: Audience is empty: name the resource server that tokens must be for"))
	}
	if c.Credentials == nil && c.Mode == Refuse {
		problems = append(problems, errors.New("verify: without Credentials there is no revocation stream: set them, or Mode to Poll or Accept"))
	}
	if c.MaxStaleness == 0 {
		c.MaxStaleness = 5 * time.Second
	}
	if c.MaxStaleness < 2*time.Second {
		problems = append(problems, errors.New("verify: MaxStaleness below 2 s would refuse between two signs of life"))
	}
	if c.CacheTokens == 0 {
		c.CacheTokens = 10_000
	}
	if c.MaxStateBytes == 0 {
		c.MaxStateBytes = 64 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.URL == "" {
		c.URL = originOf(c.Audience)
	}
	if c.URL = strings.TrimSuffix(c.URL, "/"); c.URL != "" && originOf(c.URL) == "" {
		problems = append(problems, fmt.Errorf("verify: URL %q is not where an API is: want https://host", c.URL))
	}
	if c.ResourceMetadata != "" && originOf(c.ResourceMetadata) == "" {
		problems = append(problems, fmt.Errorf("verify: ResourceMetadata %q is not an address: want https://host/.well-known/oauth-protected-resource", c.ResourceMetadata))
	}
	if c.DPoPNonceKey != nil && len(c.DPoPNonceKey) < 32 {
		problems = append(problems, errors.New("verify: DPoPNonceKey needs at least 32 random bytes"))
	}
	if c.ClientCertificate == nil {
		c.ClientCertificate = CertificateFromTLS
	}
	if c.SeenProof == nil {
		c.SeenProof = (&seenProofs{now: c.Now, most: maxProofs}).seen
	}
	client := http.Client{}
	if c.HTTPClient != nil {
		client = *c.HTTPClient
	}
	client.Timeout = 0
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTPClient = &client
	return c, errors.Join(problems...)
}

func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.HasSuffix(issuer, "/") {
		return fmt.Errorf("verify: Issuer %q is not an issuer URL without a trailing slash", issuer)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return fmt.Errorf("verify: Issuer %q must be https", issuer)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
