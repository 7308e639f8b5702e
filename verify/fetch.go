package verify

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const fetchTimeout = 10 * time.Second

// Transport is what makes requests where no HTTPClient is set. It gives up a
// connection that nothing comes from any more, as in a network that loses everything
// without a word: with HTTP/2 a stream would else be asked for on the dead connection
// again and again, for a quarter of an hour.
func Transport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if common, ok := http.DefaultTransport.(*http.Transport); ok {
		t = common.Clone()
	}
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 3 * time.Second, PingTimeout: 2 * time.Second}
	return t
}

// fetch reads a document of at most limit bytes and says how long it may be kept.
func (c *Config) fetch(ctx context.Context, url, accept string, limit int64) (body []byte, maxAge time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Accept", accept)
	res, err := c.HTTPClient.Do(r)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("verify: %s answered %s", url, res.Status)
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, 0, err
	}
	if int64(len(body)) > limit {
		return nil, 0, fmt.Errorf("verify: %s is larger than %d bytes", url, limit)
	}
	return body, maxAgeOf(res.Header.Get("Cache-Control")), nil
}

// maxAgeOf reads max-age of a Cache-Control header; zero if there is none.
func maxAgeOf(header string) time.Duration {
	for part := range strings.SplitSeq(header, ",") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(part), "max-age="); ok {
			if secs, err := strconv.ParseUint(v, 10, 31); err == nil {
				return time.Duration(secs) * time.Second
			}
		}
	}
	return 0
}
