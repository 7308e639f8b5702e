package signal

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
	"github.com/cardea-id/cardea/internal/web"
)

// How long a signed list counts. Copy, cache and verifier together stay below
// the promised 30 seconds.
const (
	signEvery = time.Second      // a list is signed at most so often
	cacheFor  = 5 * time.Second  // shared caches may keep it
	listTTL   = 20 * time.Second // a verifier may use it so long before asking again
	listLife  = time.Minute      // after that it must not be used at all
)

// signedList is a list as last signed.
type signedList struct {
	bytes int

	mu   sync.Mutex
	body []byte
	at   time.Duration
	kid  string // of the key that signed it
}

// list answers GET /status-lists/{id} with a Status List Token
// (draft-ietf-oauth-status-list, section 8.1). Anybody may ask.
func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.Query(r); err != nil {
		return err
	}
	rl := realm.From(r.Context())
	listID := r.PathValue("id")
	if rl == nil || !id.Valid("slt", listID) {
		return noList()
	}
	l, err := s.lists.Get(rl.Name, rl.Issuer+" "+listID, func() (*signedList, error) {
		l := new(signedList)
		_, err := s.signed(context.WithoutCancel(r.Context()), l, rl, listID) // others may wait for it
		return l, err
	})
	if err != nil {
		return err
	}
	body, err := s.signed(r.Context(), l, rl, listID)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", statuslist.MediaType)
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(cacheFor/time.Second)))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
	return nil
}

// signed returns the list's token, signed anew if the last one is older than
// signEvery. Those who ask at once wait for one signature.
func (s *Server) signed(ctx context.Context, l *signedList, rl *realm.Realm, listID string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key, err := s.o.Keys.Signer(ctx, rl.Name, jose.ES256)
	if err != nil {
		return nil, err
	}
	now := s.o.Elapsed()
	if l.body != nil && now-l.at < signEvery && l.kid == key.ID {
		return l.body, nil
	}
	state, err := s.o.Index.ListBits(ctx, rl.Name, listID)
	if err != nil {
		return nil, err
	}
	at := s.o.Now()
	t := statuslist.Token{
		URI: statuslist.URI(rl.Issuer, listID), IssuedAt: at, Expires: at.Add(listLife), TTL: listTTL,
		Lst: s.encode(state.Bits),
	}
	jws, err := jose.Sign(key, statuslist.TypeList, t.Claims())
	if err != nil {
		return nil, err
	}
	l.body, l.at, l.kid = []byte(jws), now, key.ID
	l.bytes = len(jws)*2 + 512 // room to grow: the cache counts it once
	return l.body, nil
}

func noList() error { return fault.New(fault.NotFound, "not_found", "there is no such status list") }
