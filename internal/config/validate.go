package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// validate reports every setting that cannot work or is not safe.
func (c *Config) validate(report reporter) {
	at := func(key, format string, args ...any) {
		where := c.Origin(key)
		if where == "default" {
			report(key, format, args...)
			return
		}
		report(where, key+": "+format, args...)
	}
	if why := issuerProblem(c.Issuer); why != "" {
		at("issuer", "%s", why)
	}
	for key, addr := range map[string]string{"listen": c.Listen, "demo.app_listen": c.Demo.AppListen, "demo.api_listen": c.Demo.APIListen} {
		if why := addressProblem(addr); why != "" {
			at(key, "%s", why)
		}
	}
	if why := addressProblem(c.Metrics.Listen); c.Metrics.Listen != "" && why != "" {
		at("metrics.listen", "%s", why)
	} else if c.Metrics.Listen != "" && !loopbackAddress(c.Metrics.Listen) {
		at("metrics.listen", "want a loopback address such as 127.0.0.1:9090; profiles show memory, so they are not for networks")
	}
	if c.Data == "" {
		at("data", "want a folder")
	}
	if c.Drain < 0 || c.Drain > 10*time.Minute {
		at("drain", "want a duration from 0s to 10m")
	}
	if c.MasterKey != "" {
		if _, err := decodeMasterKey(string(c.MasterKey)); err != nil {
			at("master_key", "%v", err)
		}
	} else if c.Production() && issuerProblem(c.Issuer) == "" {
		at("master_key", "a production node needs one: put the output of `openssl rand -base64 32` in a file with mode 0600 and name it in CARDEA_MASTER_KEY_FILE")
	}
	c.validateDatabase(at)
	c.validateTLS(at)
	c.validateMTLS(at)
	c.validateMail(at)
	for _, host := range c.Fetch.AllowHosts {
		if h, _, err := net.SplitHostPort(host); err != nil || h == "" || host != strings.ToLower(host) || addressProblem(host) != "" {
			at("fetch.allow_hosts", "want hosts in lower case with ports, such as crm.internal:8443")
		}
	}
	for _, dir := range c.Policies.Directories {
		if !filepath.IsAbs(dir) {
			at("policies.directories", "want absolute paths, such as /etc/cardea/policies")
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		at("log.level", "want debug, info, warn or error")
	}
	if !slices.Contains([]string{"json", "text"}, c.Log.Format) {
		at("log.format", "want json or text")
	}
	if c.Passwords.BreachFile != "" {
		if _, err := os.Stat(c.Passwords.BreachFile); err != nil {
			at("passwords.breach_file", "%s: %v", c.Passwords.BreachFile, withoutPath(err))
		}
	}
	if u, err := url.Parse(c.Passwords.RangeURL); c.Passwords.RangeURL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		at("passwords.range_url", "want an address such as https://ranges.example.com/range/")
	}
	if !slices.Contains([]string{"open", "closed"}, c.Passwords.RangeFailure) {
		at("passwords.range_failure", "want open or closed")
	}
	if c.GeoIP.File != "" {
		if _, err := os.Stat(c.GeoIP.File); err != nil {
			at("geoip.file", "%s: %v", c.GeoIP.File, withoutPath(err))
		}
	}
}

func (c *Config) validateDatabase(at reporter) {
	if c.Access.FactsInMemory < 1000 {
		at("access.facts_in_memory", "want a number from 1000")
	}
	if c.Database.MaxConnections < 0 || c.Database.MaxConnections > 1000 {
		at("database.max_connections", "want a number from 0 to 1000")
	}
	check := func(key, text string) {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" && u.Query().Get("host") == "" {
			at(key, "want postgres://user:password@host:5432/name")
			return
		}
		if u.Query().Get("synchronous_commit") == "off" || strings.Contains(u.Query().Get("options"), "synchronous_commit=off") {
			at(key, "turns synchronous_commit off; what Cardea acknowledges must survive a crash")
		}
	}
	if c.Postgres() {
		check("database.url", string(c.Database.URL))
	} else if strings.Contains(string(c.Database.URL), "://") {
		at("database.url", "want postgres://user:password@host:5432/name or the path of a SQLite file")
	}
	if c.Database.DirectURL == "" {
		return
	}
	if !c.Postgres() || !isPostgres(string(c.Database.DirectURL)) {
		at("database.direct_url", "makes sense only with PostgreSQL")
		return
	}
	check("database.direct_url", string(c.Database.DirectURL))
}

func (c *Config) validateTLS(at reporter) {
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		at("tls.cert_file", "and tls.key_file are needed together")
		return
	}
	if c.TLS.CertFile == "" {
		return
	}
	if err := checkSecretFile(c.TLS.KeyFile); err != nil {
		at("tls.key_file", "%v", err)
		return
	}
	if _, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile); err != nil {
		at("tls.cert_file", "%v", err)
	}
}

// issuerProblem says why an issuer cannot be used, or "".
func issuerProblem(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "want a URL such as https://id.example.com"
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(issuer, "#") {
		return "cannot have a user, a query or a fragment"
	}
	if strings.HasSuffix(issuer, "/") || u.Path != "" && (u.RawPath != "" || strings.Contains(u.Path, "//") || strings.Contains(u.Path, "/.")) {
		return "cannot end in a slash or have an escaped or relative path"
	}
	if u.Host != strings.ToLower(u.Host) || issuer != u.String() {
		return fmt.Sprintf("write it as %s", strings.ToLower(u.Scheme)+"://"+strings.ToLower(u.Host)+u.Path)
	}
	if port := u.Port(); port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		return "leave out the default port"
	}
	if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		return "plain http is for localhost only: tokens and passwords would travel in the clear; use https"
	}
	return ""
}

func loopbackHost(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func addressProblem(addr string) string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "want host:port, such as 127.0.0.1:8080 or :8080"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "want a port from 0 to 65535"
	}
	return ""
}

func loopbackAddress(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && host != "" && loopbackHost(host)
}

// Production reports whether the issuer is one that others can reach, so that
// nothing is generated or relaxed for convenience.
func (c *Config) Production() bool {
	u, err := url.Parse(c.Issuer)
	return err != nil || !loopbackHost(u.Hostname())
}

// Postgres reports whether state is kept in PostgreSQL.
func (c *Config) Postgres() bool { return isPostgres(string(c.Database.URL)) }

func isPostgres(s string) bool {
	return strings.HasPrefix(s, "postgres://") || strings.HasPrefix(s, "postgresql://")
}
