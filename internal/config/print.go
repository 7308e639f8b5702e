package config

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// Print writes the effective settings as YAML that can be used as a file, each
// with where it came from. Secrets are masked.
func (c *Config) Print(w io.Writer) error {
	var b bytes.Buffer
	section := ""
	for _, f := range Fields() {
		key, indent := f.Key, ""
		if dot := strings.LastIndex(f.Key, "."); dot > 0 {
			if f.Key[:dot] != section {
				section = f.Key[:dot]
				fmt.Fprintf(&b, "%s:\n", section)
			}
			key, indent = f.Key[dot+1:], "  "
		} else {
			section = ""
		}
		fmt.Fprintf(&b, "%s%s: %s # %s\n", indent, key, quoted(c.shown(f)), c.Origin(f.Key))
	}
	if relaxed := c.Relaxed(); len(relaxed) > 0 {
		b.WriteString("\n# relaxed:\n")
		for _, r := range relaxed {
			fmt.Fprintf(&b, "#   %s\n", r)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// shown is a value fit for a screen: a secret is [secret], a database URL
// keeps all but its password.
func (c *Config) shown(f Field) string {
	v := text(c.value(f))
	if !f.Secret || v == "" {
		return v
	}
	if strings.HasPrefix(f.Key, "database.") {
		if !isPostgres(v) {
			return v
		}
		if u, err := url.Parse(v); err == nil {
			q := u.Query()
			if q.Has("password") {
				q.Set("password", "xxxxx")
				u.RawQuery = q.Encode()
			}
			return u.Redacted()
		}
	}
	return "[secret]"
}

func quoted(v string) string {
	out, err := yaml.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%q", v)
	}
	return strings.TrimSpace(string(out))
}

// Relaxed lists what this configuration allows that a production node should
// not, one sentence each.
func (c *Config) Relaxed() []string {
	var out []string
	if !c.Production() {
		out = append(out, "issuer is on this machine only: plain http and a generated master key are accepted")
	}
	if c.Production() && c.TLS.CertFile == "" && !loopbackAddress(c.Listen) && len(c.TrustedProxies) == 0 {
		out = append(out, "listen is plain http on a network and no trusted_proxies are named: callers' addresses will be those of the proxy")
	}
	if what := c.Elsewhere(); what != "" {
		out = append(out, what)
	}
	if c.Log.Level == "debug" {
		out = append(out, "log.level debug writes more about requests than production needs")
	}
	out = append(out, c.Mail.relaxed()...)
	for _, name := range c.strangers {
		out = append(out, name+" is set, but no setting has that name: it changes nothing")
	}
	if q := string(c.Database.URL); c.Postgres() && strings.Contains(q, "sslmode=disable") && !localDatabase(q) {
		out = append(out, "database.url has sslmode=disable: secrets cross the network in the clear")
	}
	return out
}

// Elsewhere says that the issuer leads to another port of this machine than the one
// that listen has: its links and tokens would lead to whatever answers there.
func (c *Config) Elsewhere() string {
	u, err := url.Parse(c.Issuer)
	_, port, no := net.SplitHostPort(c.Listen)
	if err != nil || no != nil || c.Production() || !loopbackAddress(c.Listen) || len(c.TrustedProxies) > 0 || port == "0" {
		return ""
	}
	if port == cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]) {
		return ""
	}
	return "issuer " + c.Issuer + " has another port than listen, " + c.Listen + ": links lead to where this server does not answer; set issuer, too (such as --issuer " + u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port) + ")"
}

func localDatabase(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if host == "" {
		host = u.Query().Get("host")
	}
	return host == "" || strings.HasPrefix(host, "/") || loopbackHost(host)
}
