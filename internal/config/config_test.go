package config

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func env(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return m[name] }
}

func write(t *testing.T, mode os.FileMode, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "cardea.yaml")
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestZeroConfigurationWorks(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := Load(Input{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Issuer != "http://localhost:8080" || c.Production() || c.DatabaseURL() != filepath.Join("data", "cardea.db") {
		t.Errorf("got issuer %s, production %v, database %s", c.Issuer, c.Production(), c.DatabaseURL())
	}
	if c.Rates.AdminRead != (Rate{6000, time.Minute}) || c.Drain != 10*time.Second {
		t.Errorf("defaults were not read: %v %v", c.Rates.AdminRead, c.Drain)
	}
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) {
	file := write(t, 0o644, "listen: 127.0.0.1:1\ndrain: 1s\ndata: fromfile\n")
	c, err := Load(Input{File: file, Getenv: env("CARDEA_LISTEN", "127.0.0.1:2", "CARDEA_DRAIN", "2s"), Flags: map[string]string{"listen": "127.0.0.1:3"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:3" || c.Drain != 2*time.Second || c.Data != "fromfile" {
		t.Errorf("got %s %s %s", c.Listen, c.Drain, c.Data)
	}
	if c.Origin("listen") != "--listen" || c.Origin("drain") != "CARDEA_DRAIN" || c.Origin("data") != file+":3:7" {
		t.Errorf("got origins %s, %s, %s", c.Origin("listen"), c.Origin("drain"), c.Origin("data"))
	}
}

func TestEveryProblemIsReportedAtOnceWithItsPlace(t *testing.T) {
	file := write(t, 0o644, `issuer: http://id.example.com
lisen: 127.0.0.1:8080
database:
  urll: x
drain: soon
drain: 3s
metrics:
  listen: 0.0.0.0:9090
log: loud
trusted_proxies: [10.0.0.0/8, 0.0.0.0/0]
fetch:
  allow_hosts: [crm.internal:8443, crm.internal]
`)
	_, err := Load(Input{File: file, Getenv: env("CARDEA_RATES_ADMIN_READ", "many")})
	problems, ok := err.(Problems)
	if !ok {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		file + ":1:9: issuer: plain http is for localhost only",
		file + `:2:1: there is no setting "lisen" (did you mean listen?)`,
		file + `:4:3: there is no setting "database.urll" (did you mean database.url?)`,
		file + ":5:8: want a duration",
		file + ":6:1: drain is already set in line 5",
		file + ":8:11: metrics.listen: want a loopback address",
		file + ":9:6: log: want keys and values",
		file + ":10:18: network 2 would believe everybody",
		file + ":12:16: fetch.allow_hosts: want hosts in lower case with ports",
		"CARDEA_RATES_ADMIN_READ: want a count and a duration",
	} {
		if !strings.Contains(problems.Error(), want) {
			t.Errorf("no problem %q in\n%s", want, problems.Error())
		}
	}
}

// A mistyped variable says nothing by itself; it is told with what is relaxed.
func TestMistypedVariablesAreTold(t *testing.T) {
	c, err := Load(Input{Names: []string{"PATH", "CARDEA_TRUSTED_PROXY", "CARDEA_LISTEN", "CARDEA_MASTER_KEY_FILE", "CARDEA_TOKEN", "CARDEA_PORT_8080_TCP", "CARDEA_SERVICE_HOST", "CARDEA_LISTEN_FILE"}})
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(c.Relaxed(), "\n")
	for _, name := range []string{"CARDEA_TRUSTED_PROXY is set", "CARDEA_LISTEN_FILE is set"} {
		if !strings.Contains(all, name) {
			t.Errorf("%q is not told:\n%s", name, all)
		}
	}
	if n := strings.Count(all, "no setting has that name"); n != 2 {
		t.Errorf("%d are told:\n%s", n, all)
	}
}

// An issuer on this machine leads to the port that the server has, unless something
// stands between them.
func TestAnIssuerElsewhereIsTold(t *testing.T) {
	for _, c := range []struct {
		issuer, listen, proxies string
		told                    bool
	}{
		{"http://localhost:8080", "127.0.0.1:8094", "", true}, {"http://localhost", "127.0.0.1:8080", "", true},
		{"http://localhost:8080", "127.0.0.1:8080", "", false}, {"http://127.0.0.1:8094", "localhost:8094", "", false}, {"http://localhost", "127.0.0.1:80", "", false},
		{"http://localhost:8080", "127.0.0.1:0", "", false}, {"http://localhost:8094", ":8080", "", false}, {"http://localhost:8080", "127.0.0.1:8094", "127.0.0.1/32", false},
	} {
		env := map[string]string{"CARDEA_ISSUER": c.issuer, "CARDEA_LISTEN": c.listen, "CARDEA_TRUSTED_PROXIES": c.proxies}
		cfg, err := Load(Input{Getenv: func(name string) string { return env[name] }})
		if err != nil {
			t.Fatal(err)
		}
		what := cfg.Elsewhere()
		if (what != "") != c.told || c.told != strings.Contains(strings.Join(cfg.Relaxed(), "\n"), "has another port than listen") {
			t.Errorf("%+v: %q", c, what)
		}
	}
}

func TestIssuers(t *testing.T) {
	for issuer, fine := range map[string]bool{
		"https://id.example.com": true, "http://localhost:8080": true, "http://127.0.0.1:1": true, "http://[::1]:8080": true,
		"https://id.example.com/auth": true, "http://app.localhost": true,
		"http://id.example.com": false, "https://id.example.com/": false, "https://ID.example.com": false,
		"https://id.example.com?x": false, "https://id.example.com#": false, "https://u@id.example.com": false,
		"https://id.example.com:443": false, "id.example.com": false, "ftp://id.example.com": false, "": false,
		"https://id.example.com/a/../b": false, "https://id.example.com//a": false, "http://127.0.0.1.example.com": false,
		"http://localhost.example.com": false, "http://10.0.0.1": false,
	} {
		if why := issuerProblem(issuer); (why == "") != fine {
			t.Errorf("issuer %q: %q", issuer, why)
		}
	}
}

// OP-02: a production node without a master key of its own does not start, and
// a secret that others can read is refused.
func TestMasterKeyRules(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	dir := t.TempDir()
	t.Chdir(dir)

	if _, err := Load(Input{Getenv: env("CARDEA_ISSUER", "https://id.example.com")}); err == nil || !strings.Contains(err.Error(), "needs one") {
		t.Errorf("production without a key: %v", err)
	}
	open := filepath.Join(dir, "open.key")
	if err := os.WriteFile(open, []byte(key), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Input{Getenv: env("CARDEA_MASTER_KEY_FILE", open)}); err == nil || !strings.Contains(err.Error(), "mode 0644") {
		t.Errorf("a key everyone can read: %v", err)
	}
	os.Chmod(open, 0o600)
	c, err := Load(Input{Getenv: env("CARDEA_MASTER_KEY_FILE", open, "CARDEA_ISSUER", "https://id.example.com")})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.ReadMasterKey(); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{7}, 32)) {
		t.Errorf("got %x, %v", got, err)
	}
	if _, err := Load(Input{Getenv: env("CARDEA_MASTER_KEY", "c2hvcnQ=")}); err == nil || strings.Contains(err.Error(), "c2hvcnQ=") {
		t.Errorf("a short key: %v", err)
	}
	if _, err := Load(Input{Getenv: env("CARDEA_MASTER_KEY", key, "CARDEA_MASTER_KEY_FILE", open)}); err == nil {
		t.Error("a key given twice is accepted")
	}
}

func TestDevelopmentKeyIsMadeOnceWithMode0600(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := Load(Input{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.PrepareData(); err != nil {
		t.Fatal(err)
	}
	first, err := c.ReadMasterKey()
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.ReadMasterKey()
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("the key changed: %v", err)
	}
	for name, want := range map[string]os.FileMode{"data": 0o700, "data/master.key": 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", name, got, want)
		}
	}
	os.Chmod("data/master.key", 0o644)
	if _, err := c.ReadMasterKey(); err == nil {
		t.Error("a key file that everyone can read is used")
	}
}

// OP-02: a database that others can read is refused.
func TestOpenDatabaseFileIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	os.Mkdir("data", 0o755)
	c, err := Load(Input{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.PrepareData(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat("data/cardea.db")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the database was not made private: %v %v", info, err)
	}
	os.Chmod("data/cardea.db", 0o644)
	if err := c.PrepareData(); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v", err)
	}
	os.Chmod("data", 0o700)
	if err := c.PrepareData(); err != nil {
		t.Errorf("in a private folder: %v", err)
	}
	os.Chmod("data", 0o777)
	if err := c.PrepareData(); err == nil {
		t.Error("a folder that everyone can write is accepted")
	}
}

func TestUnsafeDatabaseURLsAreRefused(t *testing.T) {
	for _, url := range []string{"postgres://u:p@db/x?synchronous_commit=off", "postgres://u:p@db/x?options=-c%20synchronous_commit%3Doff", "mysql://x/y", "postgres://"} {
		_, err := Load(Input{Getenv: env("CARDEA_DATABASE_URL", url)})
		if err == nil || strings.Contains(err.Error(), "u:p@") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := Load(Input{Getenv: env("CARDEA_DATABASE_DIRECT_URL", "postgres://db/x")}); err == nil {
		t.Error("direct_url without PostgreSQL is accepted")
	}
}

func TestPrintMasksSecretsAndCanBeReadAgain(t *testing.T) {
	key := strings.Repeat("ab", 32)
	c, err := Load(Input{Getenv: env("CARDEA_MASTER_KEY", key, "CARDEA_DATABASE_URL", "postgres://u:hush@db.example/x?sslmode=disable", "CARDEA_TRUSTED_PROXIES", "10.0.0.1, 192.168.0.0/16",
		"CARDEA_FETCH_ALLOW_HOSTS", "crm.internal:8443, [fd00::1]:443")})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	if strings.Contains(out, key) || strings.Contains(out, "hush") {
		t.Errorf("a secret is printed:\n%s", out)
	}
	for _, want := range []string{"master_key: '[secret]' # CARDEA_MASTER_KEY", "10.0.0.1/32,192.168.0.0/16", "crm.internal:8443,[fd00::1]:443", "sslmode=disable: secrets cross"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	again := strings.ReplaceAll(out, "'[secret]'", key)
	if _, err := Load(Input{File: write(t, 0o600, again)}); err != nil {
		t.Errorf("the printed settings cannot be read: %v", err)
	}
}

func FuzzFile(f *testing.F) {
	f.Add("issuer: http://localhost:8080\n")
	f.Add("database: {url: [a, b]}\n? x\n: y\n")
	f.Add("a: &a [*a]\n---\n")
	f.Add("trusted_proxies: [10.0.0.0/8]\nrates:\n  admin_read: 1/h\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := &Config{origins: map[string]string{}}
		c.apply("fuzz", []byte(text), func(where, format string, args ...any) {
			if where == "" {
				t.Error("a problem without a place")
			}
		})
	})
}
