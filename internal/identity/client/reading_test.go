package client

import (
	"net/url"
	"testing"
)

// sameReading fails unless net/url reads a canonical URI as we do.
func sameReading(t *testing.T, uri string, p parts) {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatalf("%q passed the check, but net/url says %v", uri, err)
	}
	host := p.host
	if p.port != "" {
		host += ":" + p.port
	}
	if u.Scheme != p.scheme || u.Host != host || u.User != nil || u.Fragment != "" || u.String() != uri && u.RawQuery != "" && u.ForceQuery {
		t.Fatalf("%q reads as %+v here and as %+v in net/url", uri, p, u)
	}
}
