package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/statuslist"
)

const api = "https://api.example.com"

// issuer is an issuer whose stream says what a test writes.
type issuer struct {
	t       testing.TB
	site    *httptest.Server
	key     *jose.Key
	mu      sync.Mutex
	set     jose.Set
	jwks    atomic.Int64 // how often the keys were fetched
	streams chan *conn   // each connection, as it opens
	ahead   atomic.Int64 // how far the verifier's clock is ahead of this machine's
	errs    chan error
	news    chan Change
	problem string // what is said to a wrong secret
}

// conn is one connection of the stream. Everything after end is not sent.
type conn struct {
	lastID string
	send   chan string
	end    chan struct{}
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := &issuer{t: t, key: mustKey(t, "key_1"), streams: make(chan *conn, 100), errs: make(chan error, 1000), news: make(chan Change, 1000), problem: `{"status":401,"detail":"wrong client secret"}`}
	i.set = jose.Set{i.key.Public()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.site.URL, i.site.URL+"/jwks")
	})
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, r *http.Request) {
		i.jwks.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		_, _ = w.Write(i.set.JSON())
	})
	done := make(chan struct{})
	mux.HandleFunc("GET "+statuslist.StreamPath, func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != "cli%2F1" || secret != "a+b%25" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(i.problem))
			return
		}
		c := &conn{r.Header.Get("Last-Event-ID"), make(chan string, 100), make(chan struct{})}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		i.streams <- c
		for {
			select {
			case text := <-c.send:
				fmt.Fprint(w, text)
				_ = http.NewResponseController(w).Flush()
				continue
			default:
			}
			select {
			case text := <-c.send:
				fmt.Fprint(w, text)
				_ = http.NewResponseController(w).Flush()
			case <-c.end:
				return
			case <-r.Context().Done():
				return
			case <-done:
				return
			}
		}
	})
	i.site = httptest.NewServer(mux)
	t.Cleanup(func() { close(done); i.site.Close() })
	return i
}

func mustKey(t testing.TB, id string) *jose.Key {
	t.Helper()
	k, err := jose.Generate(id, jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (i *issuer) now() time.Time { return time.Now().Add(time.Duration(i.ahead.Load())) }

// follow makes a verifier and returns its first connection.
func (i *issuer) follow(change func(*Config)) (*Verifier, *conn) {
	i.t.Helper()
	c := Config{Issuer: i.site.URL, Audience: api, Credentials: ClientSecret("cli/1", "a b%"), Now: i.now,
		OnError: func(err error) { i.errs <- err }, OnChange: func(c Change) { i.news <- c }}
	if change != nil {
		change(&c)
	}
	v, err := New(context.Background(), c)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(v.Close)
	return v, i.next()
}

func (i *issuer) next() *conn { return receive(i.t, i.streams, "a connection") }

func receive[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("never: %s", what)
	}
	return v
}

func (i *issuer) sign(k *jose.Key, typ string, claims any) string {
	i.t.Helper()
	b, err := json.Marshal(claims)
	if err != nil {
		i.t.Fatal(err)
	}
	s, err := jose.Sign(k, typ, b)
	if err != nil {
		i.t.Fatal(err)
	}
	return s
}

func wire(event, id, data string) string {
	return "event: " + event + "\nid: " + id + "\ndata: " + data + "\n\n"
}

func instant(t time.Time) statuslist.Instant { return statuslist.Instant(t.UnixMilli()) }

func at(seq int64) statuslist.Position { return statuslist.Position{Epoch: 1, Seq: seq} }

func (i *issuer) listURI() string { return statuslist.URI(i.site.URL, "slt_1") }

// snapshot is what a stream starts with: one list of 64 indexes, of which 1 is dead.
func (i *issuer) snapshot(change func(*statuslist.Snapshot)) string {
	var e statuslist.Encoder
	p := statuslist.Snapshot{Issuer: i.site.URL, IssuedAt: instant(time.Now()), Boot: "boot", Pos: at(10),
		Lists: []statuslist.List{{URI: i.listURI(), Size: 64, Lst: e.Encode([]byte{2, 0, 0, 0, 0, 0, 0, 0})}}}
	if change != nil {
		change(&p)
	}
	return wire("snapshot", "boot."+p.Pos.String(), i.sign(i.key, statuslist.TypeSnapshot, p))
}

func (i *issuer) head(chain statuslist.Chain, pos statuslist.Position, change func(*statuslist.Head)) string {
	p := statuslist.Head{Issuer: i.site.URL, IssuedAt: instant(time.Now()), Boot: "boot", Pos: pos, Chain: chain}
	if change != nil {
		change(&p)
	}
	return wire("head", "", i.sign(i.key, statuslist.TypeHead, p))
}

// delta kills one index at a position.
func (i *issuer) delta(seq, index int64) (text, data string) {
	b, err := json.Marshal(statuslist.Delta{Pos: at(seq), Lists: []statuslist.Dead{{URI: i.listURI(), Indexes: []int64{index}}}})
	if err != nil {
		i.t.Fatal(err)
	}
	return wire("delta", "boot."+at(seq).String(), string(b)), string(b)
}

// token returns an access token on an index; change edits its claims.
func (i *issuer) token(index int64, change func(map[string]any)) string {
	now := i.now().Unix()
	c := map[string]any{"iss": i.site.URL, "sub": "usr_1", "aud": []string{api, "https://other"}, "client_id": "cli_app", "jti": fmt.Sprintf("j%d", index),
		"gid": "gnt_1", "scope": "read write", "iat": now, "exp": now + 600, "auth_time": now - 60, "acr": "1", "amr": []string{"pwd"}, "mpos": "1.9",
		"status": map[string]any{"status_list": map[string]any{"idx": index, "uri": i.listURI()}}}
	if change != nil {
		change(c)
	}
	return i.sign(i.key, "at+jwt", c)
}

func verdict(v *Verifier, token string) error {
	_, err := v.Verify(context.Background(), token)
	return err
}

func wait(t testing.TB, v *Verifier) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := v.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// ready is a verifier with its snapshot.
func ready(t testing.TB, change func(*Config)) (*issuer, *Verifier, *conn) {
	t.Helper()
	i := newIssuer(t)
	v, c := i.follow(change)
	c.send <- i.snapshot(nil)
	wait(t, v)
	return i, v, c
}

func TestWhatATokenSays(t *testing.T) {
	i, v, _ := ready(t, nil)
	tok, err := v.Verify(t.Context(), i.token(0, func(c map[string]any) { c["extra"] = map[string]any{"a": 1} }))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Subject != "usr_1" || tok.ClientID != "cli_app" || tok.GrantID != "gnt_1" || tok.ID != "j0" || tok.ACR != "1" || len(tok.AMR) != 1 ||
		!tok.HasScope("write") || tok.HasScope("wri") || tok.Require("read", "write") != nil || len(tok.Audience) != 2 ||
		tok.Expires.Sub(tok.IssuedAt) != 10*time.Minute || tok.IssuedAt.Sub(tok.AuthTime) != time.Minute {
		t.Errorf("got %+v", tok)
	}
	if tok.Actors != nil {
		t.Errorf("actors %v", tok.Actors)
	}
	acted, err := v.Verify(t.Context(), i.token(2, func(c map[string]any) {
		c["act"] = map[string]any{"sub": "svc_2", "act": map[string]any{"sub": "svc_1"}}
	}))
	if err != nil || !slices.Equal(acted.Actors, []string{"svc_2", "svc_1"}) {
		t.Errorf("%+v %v", acted, err)
	}
	var extra struct{ A int }
	if ok, err := tok.Claim("extra", &extra); !ok || err != nil || extra.A != 1 {
		t.Errorf("claim: %v %v %+v", ok, err, extra)
	}
	if ok, err := tok.Claim("none", &extra); ok || err != nil {
		t.Errorf("a claim that is not there: %v %v", ok, err)
	}
	if ok, err := tok.Claim("extra", new(string)); !ok || err == nil {
		t.Errorf("a claim of another shape: %v %v", ok, err)
	}
	if err := tok.Require("read", "admin"); !errors.Is(err, ErrScope) || !strings.Contains(err.Error(), "admin") {
		t.Errorf("a scope it lacks: %v", err)
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	i, v, _ := ready(t, nil)
	set := func(name string, value any) func(map[string]any) {
		return func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"revoked":          {i.token(1, nil), ErrRevoked},
		"expired":          {i.token(2, set("exp", i.now().Unix())), ErrExpired},
		"other audience":   {i.token(2, set("aud", "https://other")), ErrInvalid},
		"audience prefix":  {i.token(2, set("aud", api+"/")), ErrInvalid},
		"no audience":      {i.token(2, set("aud", nil)), ErrInvalid},
		"other issuer":     {i.token(2, set("iss", "https://evil.example")), ErrInvalid},
		"no issuer":        {i.token(2, set("iss", nil)), ErrInvalid},
		"no expiry":        {i.token(2, set("exp", nil)), ErrInvalid},
		"not yet":          {i.token(2, set("nbf", i.now().Unix()+120)), ErrInvalid},
		"from the future":  {i.token(2, set("iat", i.now().Unix()+120)), ErrInvalid},
		"no iat":           {i.token(2, set("iat", nil)), ErrInvalid},
		"no sub":           {i.token(2, set("sub", nil)), ErrInvalid},
		"no jti":           {i.token(2, set("jti", nil)), ErrInvalid},
		"no status":        {i.token(2, set("status", nil)), ErrInvalid},
		"status no object": {i.token(2, set("status", "x")), ErrInvalid},
		"no idx":           {i.token(2, set("status", map[string]any{"status_list": map[string]any{"uri": i.listURI()}})), ErrInvalid},
		"negative idx":     {i.token(-1, nil), ErrInvalid},
		"idx outside":      {i.token(64, nil), ErrInvalid},
		"another list":     {i.token(2, set("status", map[string]any{"status_list": map[string]any{"idx": 1, "uri": "https://evil.example/l"}})), ErrInvalid},
		"act no object":    {i.token(2, set("act", "svc_1")), ErrInvalid},
		"act of nobody":    {i.token(2, set("act", map[string]any{"iss": "x"})), ErrInvalid},
		"too many actors": {i.token(2, set("act", map[string]any{"sub": "1", "act": map[string]any{"sub": "2", "act": map[string]any{"sub": "3",
			"act": map[string]any{"sub": "4", "act": map[string]any{"sub": "5"}}}}})), ErrInvalid},
		"no mpos":           {i.token(2, set("mpos", nil)), ErrInvalid},
		"ID token":          {i.sign(i.key, "JWT", map[string]any{"iss": i.site.URL, "aud": api}), ErrInvalid},
		"stream message":    {i.sign(i.key, statuslist.TypeHead, map[string]any{"iss": i.site.URL, "aud": api}), ErrInvalid},
		"forged":            {i.sign(mustKey(t, "key_1"), "at+jwt", map[string]any{"iss": i.site.URL, "aud": api}), ErrInvalid},
		"opaque":            {"cdo_AAAA", ErrInvalid},
		"nothing":           {"", ErrInvalid},
		"larger than any":   {strings.Repeat("a", jose.MaxBytes+1), ErrInvalid},
		"one character off": {i.token(2, nil) + "A", ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // a refusal is not remembered as a yes
				err := verdict(v, c.token)
				var e *Error
				if !errors.Is(err, c.want) || !errors.As(err, &e) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				if c.token != "" && strings.Contains(err.Error(), c.token) {
					t.Error("the error repeats the token")
				}
			}
		})
	}
}

func TestARememberedTokenStillDies(t *testing.T) {
	i, v, c := ready(t, nil)
	soon := i.token(2, func(c map[string]any) { c["exp"] = i.now().Unix() + 2 })
	killed := i.token(3, nil)
	for range 2 {
		if verdict(v, soon) != nil || verdict(v, killed) != nil {
			t.Fatal("good tokens are refused")
		}
	}
	i.ahead.Store(int64(3 * time.Second))
	if err := verdict(v, soon); !errors.Is(err, ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
	text, _ := i.delta(11, 3)
	receive(t, i.news, "the snapshot")
	c.send <- text
	if got := receive(t, i.news, "the delta"); got.Revoked != 1 || got.Position != "1.11" || got.Snapshot {
		t.Errorf("change %+v", got)
	}
	if err := verdict(v, killed); !errors.Is(err, ErrRevoked) {
		t.Errorf("after its death: %v", err)
	}
}

// What arrives on the stream is believed only if it fits what came before and
// is signed. Each of these ends the connection and starts over with a snapshot.
func TestForgedAndBrokenStreams(t *testing.T) {
	thief := mustKey(t, "key_1")
	stranger := mustKey(t, "key_9")
	bad := map[string]func(i *issuer, c *conn){
		"head of another chain": func(i *issuer, c *conn) { c.send <- i.head(statuslist.Chain{1}, at(10), nil) },
		"delta left out": func(i *issuer, c *conn) {
			_, first := i.delta(11, 3)
			second, data := i.delta(12, 4)
			c.send <- second
			c.send <- i.head(statuslist.Chain{}.Next([]byte(first)).Next([]byte(data)), at(12), nil)
		},
		"delta changed on the way": func(i *issuer, c *conn) {
			text, data := i.delta(11, 3)
			c.send <- strings.Replace(text, "[3]", "[4]", 1)
			c.send <- i.head(statuslist.Chain{}.Next([]byte(data)), at(11), nil)
		},
		"delta added": func(i *issuer, c *conn) {
			text, _ := i.delta(11, 3)
			c.send <- text
			c.send <- i.head(statuslist.Chain{}, at(11), nil)
		},
		"delta twice": func(i *issuer, c *conn) {
			text, _ := i.delta(11, 3)
			c.send <- text
			c.send <- text
		},
		"delta of the past": func(i *issuer, c *conn) { text, _ := i.delta(10, 3); c.send <- text },
		"delta of another sender": func(i *issuer, c *conn) {
			text, _ := i.delta(11, 3)
			c.send <- strings.Replace(text, "boot.", "else.", 1)
		},
		"delta with another id": func(i *issuer, c *conn) {
			text, _ := i.delta(11, 3)
			c.send <- strings.Replace(text, "boot.1.11", "boot.1.12", 1)
		},
		"delta without sense": func(i *issuer, c *conn) { c.send <- wire("delta", "boot.1.11", "{") },
		"head of another boot": func(i *issuer, c *conn) {
			c.send <- i.head(statuslist.Chain{}, at(10), func(h *statuslist.Head) { h.Boot = "else" })
		},
		"head of the past": func(i *issuer, c *conn) { c.send <- i.head(statuslist.Chain{}, at(9), nil) },
		"head of another issuer": func(i *issuer, c *conn) {
			c.send <- i.head(statuslist.Chain{}, at(10), func(h *statuslist.Head) { h.Issuer = "https://evil" })
		},
		"head from far ahead": func(i *issuer, c *conn) {
			c.send <- i.head(statuslist.Chain{}, at(10), func(h *statuslist.Head) { h.IssuedAt += 62_000 })
		},
		"head from long ago": func(i *issuer, c *conn) {
			c.send <- i.head(statuslist.Chain{}, at(10), func(h *statuslist.Head) { h.IssuedAt -= 62_000 })
		},
		"head sent once more": func(i *issuer, c *conn) { // within the skew, but the age is known
			c.send <- i.head(statuslist.Chain{}, at(10), func(h *statuslist.Head) { h.IssuedAt -= 10_000 })
		},
		"head signed by a thief of the key id": func(i *issuer, c *conn) {
			c.send <- wire("head", "", i.sign(thief, statuslist.TypeHead, statuslist.Head{Issuer: i.site.URL, Boot: "boot", Pos: at(10), IssuedAt: instant(time.Now())}))
		},
		"head signed by a stranger": func(i *issuer, c *conn) {
			c.send <- wire("head", "", i.sign(stranger, statuslist.TypeHead, statuslist.Head{Issuer: i.site.URL, Boot: "boot", Pos: at(10), IssuedAt: instant(time.Now())}))
		},
		"access token as head": func(i *issuer, c *conn) { c.send <- wire("head", "", i.token(0, nil)) },
		"snapshot as head": func(i *issuer, c *conn) {
			c.send <- strings.Replace(i.snapshot(nil), "event: snapshot", "event: head", 1)
		},
		"head as snapshot": func(i *issuer, c *conn) {
			c.send <- strings.Replace(i.head(statuslist.Chain{}, at(10), nil), "event: head", "event: snapshot", 1)
		},
		"snapshot of another issuer": func(i *issuer, c *conn) {
			c.send <- i.snapshot(func(p *statuslist.Snapshot) { p.Issuer = "https://evil"; p.Lists = nil })
		},
		"list larger than allowed": func(i *issuer, c *conn) {
			c.send <- i.snapshot(func(p *statuslist.Snapshot) {
				p.Lists = []statuslist.List{{URI: "a", Size: 1 << 29}, {URI: "b", Size: 1 << 29}}
			})
		},
		"list that unpacks to more than its size": func(i *issuer, c *conn) {
			var e statuslist.Encoder
			c.send <- i.snapshot(func(p *statuslist.Snapshot) { p.Lists[0].Lst = e.Encode(make([]byte, 1<<20)) })
		},
		"event without end": func(i *issuer, c *conn) {
			for range 70 {
				c.send <- strings.Repeat("x", 1<<15)
			}
		},
		"end": func(i *issuer, c *conn) { close(c.end) },
	}
	for name, happen := range bad {
		t.Run(name, func(t *testing.T) {
			i, v, c := ready(t, func(c *Config) { c.MaxStateBytes = 1 << 20 })
			good := i.token(0, nil)
			if err := verdict(v, good); err != nil {
				t.Fatal(err)
			}
			happen(i, c)
			receive(t, i.errs, "an error")
			again := i.next()
			if resumes := again.lastID != ""; resumes != (name == "end") {
				t.Errorf("it comes back with Last-Event-ID %q", again.lastID)
			}
			// No news and no proof: the last good sign of life runs out.
			i.ahead.Store(int64(6 * time.Second))
			if err := verdict(v, good); !errors.Is(err, ErrStale) {
				t.Errorf("without a sign of life: %v", err)
			}
			if err := verdict(v, i.token(1, nil)); !errors.Is(err, ErrRevoked) {
				t.Errorf("what is known to be dead: %v", err)
			}
			go func() { // a clock that was set may cost one more connection
				for {
					again.send <- i.snapshot(func(p *statuslist.Snapshot) { p.Boot = "second" })
					select {
					case again = <-i.streams:
					case <-t.Context().Done():
						return
					}
				}
			}()
			wait(t, v)
			if err := verdict(v, good); err != nil {
				t.Errorf("after a new snapshot: %v", err)
			}
		})
	}
}

// Whatever a later snapshot says, the dead do not come back (P-10).
func TestOnceDeadAlwaysDead(t *testing.T) {
	i, v, c := ready(t, nil)
	receive(t, i.news, "the snapshot")
	text, _ := i.delta(11, 3)
	c.send <- text
	receive(t, i.news, "the delta")
	c.send <- i.snapshot(func(p *statuslist.Snapshot) { p.Pos = at(20); p.Lists[0].Lst = "" })
	receive(t, i.news, "a snapshot that forgot")
	for _, index := range []int64{1, 3} {
		if err := verdict(v, i.token(index, nil)); !errors.Is(err, ErrRevoked) {
			t.Errorf("index %d: %v", index, err)
		}
	}
	if err := verdict(v, i.token(4, nil)); err != nil {
		t.Errorf("index 4: %v", err)
	}
}

// Forged key ids must not make the verifier hammer the issuer.
func TestUnknownKeysCauseFewFetches(t *testing.T) {
	start := time.Now()
	var ahead atomic.Int64
	i, v, _ := ready(t, func(c *Config) { c.Now = func() time.Time { return start.Add(time.Duration(ahead.Load())) } })
	before := i.jwks.Load()
	for n := range 50 {
		forged := i.sign(mustKey(t, fmt.Sprintf("key_x%d", n)), "at+jwt", map[string]any{"iss": i.site.URL})
		if err := verdict(v, forged); !errors.Is(err, ErrInvalid) {
			t.Fatalf("a forged token: %v", err)
		}
	}
	if n := i.jwks.Load() - before; n > 1 {
		t.Errorf("%d fetches", n)
	}
	// A key that is new is found.
	old := i.key
	i.mu.Lock()
	i.key = mustKey(t, "key_2")
	i.set = jose.Set{i.key.Public(), old.Public()}
	i.mu.Unlock()
	ahead.Add(int64(2 * time.Second))
	if err := verdict(v, i.token(5, nil)); err != nil {
		t.Errorf("a token of a new key: %v", err)
	}
}

func TestAWithdrawnKeyIsNotRemembered(t *testing.T) {
	i, v, _ := ready(t, nil)
	token := i.token(5, nil)
	if err := verdict(v, token); err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	i.set = jose.Set{mustKey(t, "key_2").Public()}
	i.mu.Unlock()
	if err := v.keys.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := verdict(v, token); !errors.Is(err, ErrInvalid) {
		t.Errorf("signed by a key that is no longer published: %v", err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	c := newTokenCache(100)
	for n := range 10_000 {
		c.put([32]byte{byte(n), byte(n >> 8)}, &Token{})
		if len(c.young)+len(c.elder) > 100 {
			t.Fatalf("%d tokens", len(c.young)+len(c.elder))
		}
	}
	kept := [32]byte{1, 2, 3}
	c.put(kept, &Token{ID: "kept"})
	for n := range 1000 {
		c.put([32]byte{9, byte(n), byte(n >> 8)}, &Token{})
		if got := c.get(kept); got == nil || got.ID != "kept" {
			t.Fatalf("a token in use was forgotten after %d others", n)
		}
	}
	none := newTokenCache(0)
	none.put(kept, &Token{})
	if none.get(kept) != nil {
		t.Error("a cache of none remembers")
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	good := Config{Issuer: "https://id.example.com/realms/a", Audience: api, Credentials: ClientSecret("a", "b")}
	if _, err := good.checked(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"no issuer":        func(c *Config) { c.Issuer = "" },
		"http":             func(c *Config) { c.Issuer = "http://id.example.com" },
		"loopback by name": func(c *Config) { c.Issuer = "http://127.0.0.1.evil.example" },
		"trailing slash":   func(c *Config) { c.Issuer += "/" },
		"query":            func(c *Config) { c.Issuer += "?a" },
		"user":             func(c *Config) { c.Issuer = "https://a@id.example.com" },
		"no audience":      func(c *Config) { c.Audience = "" },
		"no credentials":   func(c *Config) { c.Credentials = nil },
		"too fresh":        func(c *Config) { c.MaxStaleness = time.Second },
	} {
		c := good
		change(&c)
		if _, err := New(t.Context(), c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, m := range []Mode{Refuse, Poll, Accept} {
		if got, err := ParseMode(m.String()); err != nil || got != m {
			t.Errorf("mode %v reads %v, %v", m, got, err)
		}
	}
	if _, err := ParseMode("yes"); err == nil {
		t.Error(`mode "yes" is read`)
	}
}

func TestAnIssuerThatIsNotWhoItShouldBe(t *testing.T) {
	for name, doc := range map[string]string{
		"another issuer": `{"issuer":"https://evil.example","jwks_uri":"SITE/jwks"}`,
		"no jwks_uri":    `{"issuer":"SITE"}`,
		"plain http":     `{"issuer":"SITE","jwks_uri":"http://id.example.com/jwks"}`,
		"issuer twice":   `{"issuer":"SITE","issuer":"SITE","jwks_uri":"SITE/jwks"}`,
		"no keys":        `{"issuer":"SITE","jwks_uri":"SITE/empty"}`,
		"redirect":       `{"issuer":"SITE","jwks_uri":"SITE/redirect"}`,
	} {
		t.Run(name, func(t *testing.T) {
			key := mustKey(t, "k")
			var site *httptest.Server
			site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/.well-known/openid-configuration":
					fmt.Fprint(w, strings.ReplaceAll(doc, "SITE", site.URL))
				case "/jwks":
					_, _ = w.Write(jose.Set{key.Public()}.JSON())
				case "/empty":
					fmt.Fprint(w, `{"keys":[]}`)
				case "/redirect":
					http.Redirect(w, r, "/jwks", http.StatusFound)
				}
			}))
			defer site.Close()
			c, err := Config{Issuer: site.URL, Audience: api, Mode: Accept}.checked()
			if err != nil {
				t.Fatal(err)
			}
			keys := &keySource{c: &c, withdrawn: func() {}}
			if err := keys.refresh(t.Context()); err == nil || keys.current() != nil {
				t.Errorf("keys are taken: %v (%v)", keys.current(), err)
			}
		})
	}
}

func TestWaitSaysWhyItWaited(t *testing.T) {
	i := newIssuer(t)
	c := Config{Issuer: i.site.URL, Audience: api, Credentials: ClientSecret("cli/1", "wrong")}
	v, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	until(t, "trouble is noted", func() bool { return v.Status().Err != nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Wait(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "401") || !strings.HasSuffix(err.Error(), ": wrong client secret") {
		t.Errorf("got %v", err)
	}
	if s := v.Status(); s.Fresh {
		t.Errorf("status %+v", s)
	}
}

// Whoever answers in the place of the issuer writes nothing of their own into logs.
func TestWhyAStreamIsRefusedIsOneShortLine(t *testing.T) {
	for problem, want := range map[string]string{
		`{"detail":"no\n\u001b[2Jlevel=INFO \u202eok"}`:        "(application/problem+json): no[2Jlevel=INFO ok",
		`{"detail":"` + strings.Repeat("é", 300) + `"}`:        ": " + strings.Repeat("é", 200),
		`{"detail":"` + strings.Repeat("x", maxProblem) + `"}`: "(application/problem+json)",
		`{"detail":7}`: "(application/problem+json)",
		"<html>":       "(application/problem+json)",
		"":             "(application/problem+json)",
	} {
		i := newIssuer(t)
		i.problem = problem
		v, err := New(t.Context(), Config{Issuer: i.site.URL, Audience: api, Credentials: ClientSecret("cli/1", "wrong"), OnError: func(err error) { i.errs <- err }})
		if err != nil {
			t.Fatal(err)
		}
		if err := receive(t, i.errs, "trouble"); !strings.HasSuffix(err.Error(), want) || !strings.HasPrefix(err.Error(), "verify: the revocation stream answered 401 Unauthorized ") {
			t.Errorf("%.60s: got %q", problem, err)
		}
		v.Close()
	}
}

// until polls, since another goroutine must act.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	i, v, _ := ready(b, func(c *Config) { c.MaxStaleness = time.Hour })
	token := i.token(5, nil)
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := verdict(v, token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("first time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v.tokens.clear()
			if err := verdict(v, token); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The words of a status line are of whoever answers, too.
func TestTheWordsOfAStatusLineStayOutOfLogs(t *testing.T) {
	i := newIssuer(t)
	old := i.site.Config.Handler
	i.site.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != statuslist.StreamPath {
			old.ServeHTTP(w, r)
			return
		}
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = c.Write([]byte("HTTP/1.1 401 \x1b[2Jlevel=INFO " + strings.Repeat("x", 1<<16) + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
		c.Close()
	})
	v, err := New(t.Context(), Config{Issuer: i.site.URL, Audience: api, Credentials: ClientSecret("cli/1", "wrong"), OnError: func(err error) { i.errs <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := receive(t, i.errs, "trouble"); strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 400 {
		t.Errorf("%d bytes: %.90q", len(err.Error()), err)
	}
}
