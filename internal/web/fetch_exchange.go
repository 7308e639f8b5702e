package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// exchangeTime is how long an exchange may take.
const exchangeTime = 60 * time.Second

// Exchanged is a request whose answer is read, at an address that others chose.
type Exchanged struct {
	URL                string
	Header             map[string]string
	Username, Password string // for HTTP Basic (RFC 7617), if there are any
	Body               []byte // nil: GET, else POST
	Limit              int    // bytes of the answer
}

// Exchange sends a request within a minute and gives the body of its answer, if
// that is 200; else the error is [Answered]. It reaches nothing that Get would not.
func (f *Fetcher) Exchange(ctx context.Context, e Exchanged) ([]byte, error) {
	u, err := f.parse(e.URL)
	if err != nil {
		return nil, err
	}
	method := http.MethodGet
	if e.Body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(e.Body))
	if err != nil {
		return nil, err
	}
	for name, value := range e.Header {
		req.Header.Set(name, value)
	}
	if e.Username != "" || e.Password != "" {
		req.SetBasicAuth(e.Username, e.Password)
	}
	if f.agent != "" {
		req.Header.Set("User-Agent", f.agent)
	}
	res, err := f.exchanger.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, &Answered{Host: u.Host, Status: res.StatusCode}
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(e.Limit)+1))
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if len(body) > e.Limit {
		return nil, fmt.Errorf("fetch: %s sent more than %d bytes", u.Host, e.Limit)
	}
	return body, nil
}
