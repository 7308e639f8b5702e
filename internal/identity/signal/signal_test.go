package signal_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/signal"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/verify"
)

// fakeLog is the event log of one node: append applies a record to every
// follower in order, as the real one does.
type fakeLog struct {
	mu      sync.Mutex
	apply   []func(audit.Record)
	reset   []func()
	applied atomic.Pointer[audit.Position]
	dead    atomic.Bool
}

func (l *fakeLog) Follow(_ string, apply func(audit.Record), reset func()) {
	l.apply, l.reset = append(l.apply, apply), append(l.reset, reset)
}

func (l *fakeLog) Live() error {
	if l.dead.Load() {
		return fault.New(fault.Unavailable, "no_lease", "this node has no lease")
	}
	return nil
}

func (l *fakeLog) Applied() audit.Position { return *l.applied.Load() }

func (l *fakeLog) append(realm string, e audit.Event) audit.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.Applied()
	p.Seq++
	r := audit.Record{Position: p, Realm: realm, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Event: e}
	for _, f := range l.apply {
		f(r)
	}
	l.applied.Store(&p)
	return p
}

// index is what a realm's dead look like, fed by the log.
type index struct {
	mu    sync.Mutex
	state map[string]*statuslist.State
	bits  map[string]*statuslist.Bitmap
	reads atomic.Int64
}

func (x *index) of(realm string) *statuslist.State {
	if x.state[realm] == nil {
		x.state[realm] = &statuslist.State{}
	}
	return x.state[realm]
}

func (x *index) apply(r audit.Record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.of(r.Realm)
	s.Pos = statuslist.Position(r.Position)
	if r.Action == "status_list.open" {
		m, _ := statuslist.NewBitmap(int64(r.Data["size"].(float64)))
		x.bits[r.Target] = m
		s.Lists = append(s.Lists, statuslist.ListState{ID: r.Target, Size: m.Size()})
	}
	for _, d := range r.Deaths {
		x.bits[d.List].Set(d.Index)
	}
	if r.Cut != nil {
		s.Cutoffs = append(s.Cutoffs, statuslist.Cutoff{Kind: r.Cut.Kind, ID: r.Cut.ID, Pos: s.Pos})
	}
	if r.JTI != nil {
		s.JTIs = append(s.JTIs, statuslist.DeadToken{JTI: r.JTI.JTI, Exp: r.JTI.Expires.Unix()})
	}
}

func (x *index) Snapshot(_ context.Context, realm string) (statuslist.State, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reads.Add(1)
	s := *x.of(realm)
	s.Lists = append([]statuslist.ListState(nil), s.Lists...)
	for i := range s.Lists {
		s.Lists[i].Bits = x.bits[s.Lists[i].ID].Bytes()
	}
	s.Cutoffs = append([]statuslist.Cutoff(nil), s.Cutoffs...)
	return s, nil
}

// cutoffLife is how long cut-offs of this index are told.
const cutoffLife = 20 * time.Minute

func (x *index) CutoffEnds(context.Context, string) (func(string, time.Time) time.Time, error) {
	return func(_ string, at time.Time) time.Time { return at.Add(cutoffLife) }, nil
}

func (x *index) ListBits(_ context.Context, realm, list string) (statuslist.ListState, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reads.Add(1)
	for _, l := range x.of(realm).Lists {
		if l.ID == list {
			l.Bits = x.bits[list].Bytes()
			return l, nil
		}
	}
	return statuslist.ListState{}, fault.New(fault.NotFound, "not_found", "no such list")
}

// keys is a ring of one key for all realms.
type keys struct {
	mu  sync.Mutex
	key *jose.Key
}

func (k *keys) Signer(context.Context, string, string) (*jose.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.key, nil
}

// issuer is a whole issuer as far as revocation goes.
type issuer struct {
	t       testing.TB
	log     *fakeLog
	index   *index
	keys    *keys
	signals *signal.Server
	site    *httptest.Server
	realm   *realm.Realm
	list    string // an open list of 1,024 indexes
	elapsed atomic.Int64
	now     atomic.Int64 // milliseconds added to the clock
	refuse  atomic.Bool  // credentials are refused
	forbid  atomic.Bool
	opened  atomic.Int64 // streams asked for
	resumed atomic.Int64 // of these with Last-Event-ID
}

const audience = "https://api.example.com"

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	k, err := jose.Generate("key_1", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, log: &fakeLog{}, keys: &keys{key: k}, list: id.New("slt", time.Unix(1, 0)),
		index: &index{state: map[string]*statuslist.State{}, bits: map[string]*statuslist.Bitmap{}}}
	i.log.applied.Store(&audit.Position{Epoch: 1, Seq: 7})
	i.log.Follow("index", i.index.apply, func() {})
	i.signals = signal.New(signal.Options{Log: i.log, Keys: i.keys, Index: i.index, Authorize: i.authorize,
		Now: i.clock, Elapsed: func() time.Duration { return time.Duration(i.elapsed.Load()) }})
	mux := web.NewMux(web.MuxOptions{Live: i.log.Live})
	i.signals.Routes(mux.Door("signal", signal.Fail))
	i.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.realm.Issuer, i.realm.Issuer+"/jwks")
		case "/jwks":
			_, _ = w.Write(jose.Set{i.key().Public()}.JSON())
		default:
			if r.URL.Path == statuslist.StreamPath {
				i.opened.Add(1)
				if r.Header.Get("Last-Event-ID") != "" {
					i.resumed.Add(1)
				}
			}
			mux.ServeHTTP(w, r.WithContext(realm.With(r.Context(), i.realm)))
		}
	}))
	i.realm = &realm.Realm{Name: "test", Issuer: i.site.URL}
	t.Cleanup(func() {
		i.signals.Close()
		i.site.Close()
	})
	i.open(i.list, 1024)
	return i
}

func (i *issuer) key() *jose.Key { k, _ := i.keys.Signer(context.Background(), "", ""); return k }

func (i *issuer) clock() time.Time {
	return time.Now().Add(time.Duration(i.now.Load()) * time.Millisecond)
}

func (i *issuer) authorize(_ http.ResponseWriter, r *http.Request) (func(context.Context) error, error) {
	still := func(context.Context) error { return i.allows(r) }
	return still, i.allows(r)
}

func (i *issuer) allows(r *http.Request) error {
	if user, pass, _ := r.BasicAuth(); user != "cli_api" || pass != "secret" || i.refuse.Load() {
		return fault.New(fault.Unauthenticated, "credential_missing", "no")
	}
	if i.forbid.Load() {
		return fault.New(fault.Forbidden, "scope_missing", "no")
	}
	return nil
}

func (i *issuer) open(list string, size int64) {
	i.log.append("test", audit.Event{Action: "status_list.open", Target: list, Data: map[string]any{"size": float64(size)}})
}

func (i *issuer) kill(indexes ...int64) {
	e := audit.Event{Action: "grant.revoke", Target: "gnt_1"}
	for _, n := range indexes {
		e.Deaths = append(e.Deaths, audit.Bit{List: i.list, Index: n})
	}
	i.log.append("test", e)
}

// token mints an access token on an index.
func (i *issuer) token(index int64) string { return i.mint(i.list, index, "cli_app", "jti") }

func (i *issuer) mint(list string, index int64, client, jti string) string {
	i.t.Helper()
	now := time.Now().Unix()
	claims := fmt.Sprintf(`{"iss":%q,"sub":"usr_1","aud":%q,"client_id":%q,"jti":"%s-%d","scope":"read","gid":"gnt_1","iat":%d,"exp":%d,"mpos":%q,"status":{"status_list":{"idx":%d,"uri":%q}}}`,
		i.realm.Issuer, audience, client, jti, index, now, now+600, i.log.Applied(), index, statuslist.URI(i.realm.Issuer, list))
	s, err := jose.Sign(i.key(), "at+jwt", []byte(claims))
	if err != nil {
		i.t.Fatal(err)
	}
	return s
}

func (i *issuer) verifier(change func(*verify.Config)) *verify.Verifier {
	i.t.Helper()
	c := verify.Config{Issuer: i.realm.Issuer, Audience: audience, Credentials: verify.ClientSecret("cli_api", "secret")}
	if change != nil {
		change(&c)
	}
	v, err := verify.New(context.Background(), c)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(v.Close)
	if c.Credentials != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := v.Wait(ctx); err != nil {
			i.t.Fatal(err)
		}
	}
	return v
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

func verdict(v *verify.Verifier, token string) error {
	_, err := v.Verify(context.Background(), token)
	return err
}

func TestARevokedGrantDiesAtTheVerifier(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier(nil)
	mine, other := i.token(5), i.token(6)
	for _, token := range []string{mine, other} {
		if err := verdict(v, token); err != nil {
			t.Fatal(err)
		}
	}
	i.kill(5)
	until(t, "the revoked token is refused", func() bool { return errors.Is(verdict(v, mine), verify.ErrRevoked) })
	if err := verdict(v, other); err != nil {
		t.Errorf("another grant's token: %v", err)
	}
	i.log.append("neighbour", audit.Event{Action: "grant.revoke", Deaths: []audit.Bit{{List: i.list, Index: 6}}})
	i.kill(7)
	until(t, "the next death arrives", func() bool { return errors.Is(verdict(v, i.token(7)), verify.ErrRevoked) })
	if err := verdict(v, other); err != nil {
		t.Errorf("what died in a neighbouring realm died here too: %v", err)
	}
	// Whoever comes later learns of all of it from the snapshot.
	i.elapsed.Add(int64(time.Second))
	late := i.verifier(nil)
	if err := verdict(late, mine); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("a later verifier: %v", err)
	}
}

func TestCutoffsAndSingleTokens(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier(nil)
	app, web, one, two := i.mint(i.list, 1, "cli_app", "a"), i.mint(i.list, 2, "cli_web", "b"), i.mint(i.list, 3, "cli_cc", "c"), i.mint(i.list, 4, "cli_cc", "d")
	revoked := func(token string) bool { return errors.Is(verdict(v, token), verify.ErrRevoked) }

	i.log.append("test", audit.Event{Action: "client.delete", Cut: &audit.Cutoff{Kind: "client", ID: "cli_app"}})
	until(t, "a client's tokens die", func() bool { return revoked(app) })
	if err := verdict(v, web); err != nil {
		t.Errorf("another client: %v", err)
	}
	if err := verdict(v, i.mint(i.list, 1, "cli_app", "later")); err != nil {
		t.Errorf("minted after the cut-off: %v", err)
	}

	i.log.append("test", audit.Event{Action: "token.revoke", JTI: &audit.DeadToken{JTI: "c-3", Expires: time.Now().Add(time.Hour)}})
	until(t, "a single token dies", func() bool { return revoked(one) })
	if err := verdict(v, two); err != nil {
		t.Errorf("another token of the client: %v", err)
	}

	i.elapsed.Add(int64(time.Second))
	late := i.verifier(nil)
	for name, token := range map[string]string{"client": app, "jti": one} {
		if err := verdict(late, token); !errors.Is(err, verify.ErrRevoked) {
			t.Errorf("%s, in a snapshot: %v", name, err)
		}
	}

	i.log.append("test", audit.Event{Action: "realm.kill", Cut: &audit.Cutoff{Kind: "issuer", ID: "test"}})
	until(t, "all tokens die", func() bool { return revoked(web) && revoked(two) })
}

// Whoever follows is told until when a cut-off is needed, in a delta as in a
// snapshot, and forgets it then.
func TestCutoffsTellTheirEnd(t *testing.T) {
	i := newIssuer(t)
	r, err := http.NewRequestWithContext(t.Context(), "GET", i.realm.Issuer+statuslist.StreamPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("cli_api", "secret")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	cut := false
	for lines.Scan() {
		text, data := strings.CutPrefix(lines.Text(), "data: ")
		if data && !cut { // the snapshot has come
			i.log.append("test", audit.Event{Action: "principal.suspend", Cut: &audit.Cutoff{Kind: "principal", ID: "usr_1"}})
			cut = true
			continue
		}
		var d statuslist.Delta
		if data && strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &d) == nil {
			if len(d.Cutoffs) != 1 || d.Cutoffs[0].Exp != at.Add(cutoffLife).Unix() {
				t.Errorf("told: %+v", d.Cutoffs)
			}
			return
		}
	}
	t.Fatal("the stream ended")
}

func TestARevokedKeyDiesWithAllItSigned(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier(nil)
	old := i.key()
	before := i.token(1)
	if err := verdict(v, before); err != nil {
		t.Fatal(err)
	}
	next, err := jose.Generate("key_2", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	i.keys.mu.Lock()
	i.keys.key = next
	i.keys.mu.Unlock()
	i.log.append("test", audit.Event{Action: "signing_key.revoke", Cut: &audit.Cutoff{Kind: "key", ID: old.ID}})
	until(t, "the key's tokens die", func() bool { return errors.Is(verdict(v, before), verify.ErrRevoked) })

	// The thief writes a position of their own choosing; it does not help.
	claims := strings.Replace(payload(t, before), `"mpos":"1.8"`, `"mpos":"9.9"`, 1)
	forged, err := jose.Sign(old, "at+jwt", []byte(strings.Replace(claims, `"jti":"jti-1"`, `"jti":"forged"`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := verdict(v, forged); err == nil {
		t.Error("a token forged with the stolen key is taken")
	}
	until(t, "tokens of the new key are taken", func() bool { return verdict(v, i.token(2)) == nil })
}

func payload(t *testing.T, token string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTokensOnAListThatIsNewerThanTheStream(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier(nil)
	list := id.New("slt", time.Unix(2, 0))
	// Minted at a position that the verifier has not reached: it waits.
	ahead := make(chan error, 1)
	i.log.mu.Lock()
	p := i.log.Applied()
	i.log.mu.Unlock()
	now := time.Now().Unix()
	token, err := jose.Sign(i.key(), "at+jwt", fmt.Appendf(nil, `{"iss":%q,"sub":"u","aud":%q,"client_id":"c","jti":"j","iat":%d,"exp":%d,"mpos":"%d.%d","status":{"status_list":{"idx":3,"uri":%q}}}`,
		i.realm.Issuer, audience, now, now+60, p.Epoch, p.Seq+1, statuslist.URI(i.realm.Issuer, list)))
	if err != nil {
		t.Fatal(err)
	}
	go func() { ahead <- verdict(v, token) }()
	i.open(list, 64)
	if err := <-ahead; err != nil {
		t.Errorf("a token on a list that was opened meanwhile: %v", err)
	}
	if err := verdict(v, i.mint(id.New("slt", time.Unix(3, 0)), 1, "c", "j")); !errors.Is(err, verify.ErrInvalid) && !errors.Is(err, verify.ErrStale) {
		t.Errorf("a list that does not exist: %v", err)
	}
	if err := verdict(v, i.mint(list, 64, "c", "j")); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("an index outside: %v", err)
	}
}

// Spine 10: a verifier without a signed head refuses, and comes back with one.
// That a node without a lease signs none is TestANodeWithoutALeaseSignsNoHead.
func TestANodeWithoutALeaseLeavesItsVerifiersStale(t *testing.T) {
	i := newIssuer(t)
	var skip atomic.Int64 // the verifier's clock runs ahead by this
	ahead := func() time.Time { return time.Now().Add(time.Duration(skip.Load())) }
	refusing := i.verifier(func(c *verify.Config) { c.Now = ahead })
	accepting := i.verifier(func(c *verify.Config) { c.Now, c.Mode = ahead, verify.Accept })
	polling := i.verifier(func(c *verify.Config) { c.Now, c.Mode = ahead, verify.Poll })
	token := i.token(9)
	for _, v := range []*verify.Verifier{refusing, accepting, polling} {
		if err := verdict(v, token); err != nil {
			t.Fatal(err)
		}
	}
	i.log.dead.Store(true)
	skip.Store(int64(6 * time.Second))
	until(t, "the verifier is stale", func() bool { return errors.Is(verdict(refusing, token), verify.ErrStale) })
	if err := verdict(accepting, token); err != nil {
		t.Errorf("mode accept: %v", err)
	}
	if err := verdict(polling, token); !errors.Is(err, verify.ErrStale) {
		t.Errorf("mode ttl at a node without a lease: %v", err)
	}
	i.log.dead.Store(false)
	until(t, "the verifier recovers", func() bool { return verdict(refusing, token) == nil })
}

func TestAVerifierResumesWhereItBrokeOff(t *testing.T) {
	i := newIssuer(t)
	var snapshots atomic.Int64
	v := i.verifier(func(c *verify.Config) {
		c.OnChange = func(ch verify.Change) {
			if ch.Snapshot {
				snapshots.Add(1)
			}
		}
	})
	i.kill(1)
	until(t, "the first death arrives", func() bool { return errors.Is(verdict(v, i.token(1)), verify.ErrRevoked) })
	for n := range int64(3) {
		before := i.opened.Load()
		i.site.CloseClientConnections()
		i.kill(10 + n)
		until(t, "it comes back", func() bool { return i.opened.Load() > before })
		until(t, "what happened meanwhile arrives", func() bool { return errors.Is(verdict(v, i.token(10+n)), verify.ErrRevoked) })
		if err := verdict(v, i.token(2)); err != nil {
			t.Errorf("after coming back: %v", err)
		}
	}
	if snapshots.Load() != 1 || i.resumed.Load() < 3 {
		t.Errorf("%d snapshots, %d resumed", snapshots.Load(), i.resumed.Load())
	}
}

func TestAResetStartsEveryStreamOver(t *testing.T) {
	i := newIssuer(t)
	var snapshots atomic.Int64
	v := i.verifier(func(c *verify.Config) {
		c.OnChange = func(ch verify.Change) {
			if ch.Snapshot {
				snapshots.Add(1)
			}
		}
	})
	i.log.mu.Lock()
	i.log.applied.Store(&audit.Position{Epoch: 2, Seq: 1}) // behind in number, ahead in epoch
	for _, f := range i.log.reset {
		f()
	}
	i.log.mu.Unlock()
	until(t, "a new snapshot", func() bool { return snapshots.Load() == 2 })
	i.kill(3)
	until(t, "deaths of the new epoch", func() bool { return errors.Is(verdict(v, i.token(3)), verify.ErrRevoked) })
}

func TestTheStreamNeedsAResourceServersCredential(t *testing.T) {
	i := newIssuer(t)
	get := func(auth string) *http.Response {
		t.Helper()
		r, err := http.NewRequest("GET", i.site.URL+statuslist.StreamPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		if auth != "" {
			r.Header.Set("Authorization", auth)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	for auth, wantChallenge := range map[string]string{
		"":                `Bearer realm="` + i.realm.Issuer + `", scope="cardea:revocations"`,
		"Bearer nonsense": `Bearer realm="` + i.realm.Issuer + `", scope="cardea:revocations", error="invalid_token"`,
	} {
		res := get(auth)
		if got := res.Header.Values("WWW-Authenticate"); res.StatusCode != 401 || len(got) != 2 || got[0] != wantChallenge || !strings.HasPrefix(got[1], "Basic realm=") {
			t.Errorf("%q: %s %q", auth, res.Status, got)
		}
	}
	i.forbid.Store(true)
	if res := get("Basic Y2xpX2FwaTpzZWNyZXQ="); res.StatusCode != 403 || !strings.Contains(res.Header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
		t.Errorf("forbidden: %s %q", res.Status, res.Header.Get("WWW-Authenticate"))
	}
	i.forbid.Store(false)

	// A credential that dies ends the stream it opened.
	i.signals.AskAgain(10 * time.Millisecond)
	res := get("Basic Y2xpX2FwaTpzZWNyZXQ=")
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	i.refuse.Store(true)
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
	until(t, "no stream is left", func() bool { return i.signals.Streams() == 0 })
}

func TestSignedListsForWhoeverAsks(t *testing.T) {
	i := newIssuer(t)
	i.kill(3, 700)
	get := func(list string) (*http.Response, string) {
		t.Helper()
		res, err := http.Get(i.site.URL + statuslist.Path + list)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	res, body := get(i.list)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/statuslist+jwt" || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	var maxAge int
	if _, err := fmt.Sscanf(res.Header.Get("Cache-Control"), "public, max-age=%d", &maxAge); err != nil {
		t.Errorf("Cache-Control: %q", res.Header.Get("Cache-Control"))
	}
	signed, err := jose.Verify(body, jose.Want{Typ: []string{"statuslist+jwt"}, Keys: jose.Set{i.key().Public()}})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := statuslist.ParseToken(signed.Payload)
	if err != nil || tok.URI != i.realm.Issuer+"/status-lists/"+i.list {
		t.Fatalf("%+v, %v", tok, err)
	}
	if total := tok.TTL + time.Duration(maxAge)*time.Second + time.Second; total > 30*time.Second || tok.TTL <= 0 {
		t.Errorf("a copy may be %s old", total)
	}
	bits, err := statuslist.Decode(tok.Lst, 128)
	if err != nil || len(bits) != 128 || bits[0] != 1<<3 || bits[700/8] != 1<<(700%8) {
		t.Errorf("bits %x, %v", bits, err)
	}

	// At most one signature a second, however many ask.
	i.kill(4)
	if _, again := get(i.list); again != body {
		t.Error("signed twice within a second")
	}
	i.elapsed.Add(int64(time.Second))
	if _, again := get(i.list); again == body {
		t.Error("the same list after a second")
	}
	_, before := get(i.list)
	next, err := jose.Generate("key_2", jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	i.keys.mu.Lock()
	i.keys.key = next
	i.keys.mu.Unlock()
	if _, again := get(i.list); again == before {
		t.Error("a list outlives the key that signed it")
	}
	for _, unknown := range []string{"x", id.New("slt", time.Unix(9, 0)), "..%2f" + i.list} {
		if res, _ := get(unknown); res.StatusCode != 404 {
			t.Errorf("%s: %s", unknown, res.Status)
		}
	}
	i.log.dead.Store(true)
	if res, _ := get(i.list); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("without a lease: %s", res.Status)
	}
}

func TestAVerifierWithoutAStreamPolls(t *testing.T) {
	i := newIssuer(t)
	var skip atomic.Int64
	v := i.verifier(func(c *verify.Config) {
		c.Credentials, c.Mode = nil, verify.Poll
		c.Now = func() time.Time { return time.Now().Add(time.Duration(skip.Load())) }
	})
	token := i.token(3)
	if err := verdict(v, token); err != nil {
		t.Fatal(err)
	}
	i.kill(3)
	reads := i.index.reads.Load()
	for range 10 {
		if err := verdict(v, token); err != nil {
			t.Fatalf("the list is asked for again within its time: %v", err)
		}
	}
	if i.index.reads.Load() != reads {
		t.Error("each check asks the issuer")
	}
	skip.Store(int64(30 * time.Second))
	i.elapsed.Add(int64(time.Second))
	if err := verdict(v, token); !errors.Is(err, verify.ErrRevoked) {
		t.Errorf("after 30 seconds: %v", err)
	}
	if i.opened.Load() != 0 {
		t.Error("a verifier without credentials asked for the stream")
	}
}

func TestTheRealmsLastWordsGoOut(t *testing.T) {
	i := newIssuer(t)
	v := i.verifier(nil)
	token := i.token(1)
	i.log.append("test", audit.Event{Action: "realm.delete", Target: "test", Cut: &audit.Cutoff{Kind: "issuer", ID: "test"}})
	i.refuse.Store(true)
	until(t, "everything of the realm dies", func() bool { return errors.Is(verdict(v, token), verify.ErrRevoked) })
	until(t, "its streams end", func() bool { return i.signals.Streams() == 0 })
}
