package verify

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// The bounds of polling, whatever a list says of itself.
const (
	maxListAge   = 30 * time.Second
	maxPolled    = 1000        // lists kept
	failurePause = time.Second // after a list could not be fetched
)

// poller fetches signed status lists for verifiers without a stream.
type poller struct {
	v     *Verifier
	mu    sync.Mutex
	lists map[string]*polledList
}

type polledList struct {
	mu     sync.Mutex // one fetch at a time
	list   *statuslist.Bitmap
	until  time.Time // the copy counts so long
	paused time.Time // no further attempt before
}

func newPoller(v *Verifier) *poller { return &poller{v: v, lists: map[string]*polledList{}} }

// check looks a token up in the list it names.
func (p *poller) check(ctx context.Context, t *Token, now time.Time) error {
	if !strings.HasPrefix(t.status.URI, p.v.c.Issuer+statuslist.Path) {
		return refuse(ErrInvalid, "its status list is not the issuer's")
	}
	list, err := p.list(ctx, t.status.URI, now)
	if err != nil {
		return refuse(ErrStale, "its status list cannot be fetched")
	}
	if t.status.Index < 0 || t.status.Index >= list.Size() {
		return refuse(ErrInvalid, "it names an index outside its status list")
	}
	if list.Get(t.status.Index) {
		return refuse(ErrRevoked, "")
	}
	return nil
}

func (p *poller) list(ctx context.Context, uri string, now time.Time) (*statuslist.Bitmap, error) {
	l := p.entry(uri, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.list != nil && now.Before(l.until) {
		return l.list, nil
	}
	if now.Before(l.paused) {
		return nil, errors.New("verify: the last attempt failed just now")
	}
	list, until, err := p.fetch(ctx, uri)
	if err != nil {
		l.paused = now.Add(failurePause)
		p.v.trouble(ctx, err)
		return nil, err
	}
	if l.list != nil && l.list.Size() == list.Size() {
		if err := list.Merge(l.list.Bytes()); err != nil { // once dead, always dead
			return nil, err
		}
	}
	l.list, l.until = list, until
	return list, nil
}

func (p *poller) entry(uri string, now time.Time) *polledList {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lists[uri]
	if l == nil {
		if len(p.lists) >= maxPolled {
			clear(p.lists) // more lists than any realm has open: begin anew
		}
		l = &polledList{}
		p.lists[uri] = l
	}
	return l
}

// fetch gets a Status List Token and checks it as section 8.3 of
// draft-ietf-oauth-status-list asks.
func (p *poller) fetch(ctx context.Context, uri string) (*statuslist.Bitmap, time.Time, error) {
	c := &p.v.c
	began := c.Now()
	body, _, err := c.fetch(ctx, uri, statuslist.MediaType, c.MaxStateBytes)
	if err != nil {
		return nil, began, err
	}
	u, err := jose.Parse(strings.TrimSpace(string(body)), int(c.MaxStateBytes))
	if err != nil {
		return nil, began, err
	}
	keys, err := p.v.keys.withKey(ctx, u.Kid, u.Alg)
	if err != nil {
		return nil, began, err
	}
	signed, err := u.Verify(jose.Want{Typ: []string{statuslist.TypeList}, Keys: keys})
	if err != nil {
		return nil, began, err
	}
	t, err := statuslist.ParseToken(signed.Payload)
	if err != nil {
		return nil, began, err
	}
	switch {
	case t.URI != uri:
		return nil, began, errors.New("verify: the status list is another one than was asked for")
	case t.IssuedAt.After(began.Add(jose.MaxSkew)):
		return nil, began, errors.New("verify: the status list comes from the future")
	case !t.Expires.IsZero() && !began.Before(t.Expires.Add(jose.MaxSkew)):
		return nil, began, errors.New("verify: the status list has expired")
	}
	bits, err := statuslist.Decode(t.Lst, c.MaxStateBytes)
	if err != nil {
		return nil, began, err
	}
	list, err := statuslist.NewBitmap(int64(len(bits)) * 8)
	if err != nil {
		return nil, began, err
	}
	age := maxListAge
	if t.TTL > 0 {
		age = min(t.TTL, age)
	}
	return list, began.Add(age), list.Merge(bits)
}
