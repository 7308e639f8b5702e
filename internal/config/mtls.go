package config

import (
	"net/url"
	"strings"
)

// Asks reports whether there is any way for clients to show certificates.
func (m MTLS) Asks() bool { return m.Request || m.Listen != "" || m.Header != "" }

func (c *Config) validateMTLS(at reporter) {
	if (c.MTLS.Request || c.MTLS.Listen != "") && c.TLS.CertFile == "" {
		at("mtls.request", "and mtls.listen need tls.cert_file: certificates are shown within TLS; behind a proxy set mtls.header")
	}
	if why := addressProblem(c.MTLS.Listen); c.MTLS.Listen != "" && why != "" {
		at("mtls.listen", "%s", why)
	}
	if c.MTLS.URL != "" {
		u, err := url.Parse(c.MTLS.URL)
		switch {
		case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || c.MTLS.URL != "https://"+strings.ToLower(u.Host):
			at("mtls.url", "want an origin such as https://mtls.id.example.com")
		case !c.MTLS.Asks():
			at("mtls.url", "names an origin where nobody asks for certificates: set mtls.listen, mtls.request or mtls.header too")
		}
	}
	if c.MTLS.Header == "" {
		return
	}
	if len(c.TrustedProxies) == 0 {
		at("mtls.header", "is believed from trusted_proxies only, and there are none")
	}
	for _, r := range c.MTLS.Header {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-') {
			at("mtls.header", "want the name of a header, such as Client-Cert")
			return
		}
	}
}
