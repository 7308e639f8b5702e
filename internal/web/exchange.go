package web

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"time"
)

// exchange is one request and its answer: the request as handlers see it, its
// context and the response writer in one allocation.
type exchange struct {
	context.Context
	in      http.Request
	out     response
	id      [16]byte
	addr    netip.Addr
	proxied bool // the peer is a proxy that is believed
	site    string
	// what the site adds to the context
	siteKey, siteValue any
	start              time.Time
	route              *Route
	notes              []note
	few                [3]note // the first of them
	front              *Options
}

const maxNotes = 8

type note struct{ key, value string }

type exchangeKey struct{}

// Value answers for the exchange itself, then for the request's context.
func (x *exchange) Value(key any) any {
	if key == (exchangeKey{}) {
		return x
	}
	if x.siteKey != nil && key == x.siteKey {
		return x.siteValue
	}
	return x.Context.Value(key)
}

func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{Context: r.Context(), addr: addrOf(r.RemoteAddr)}
	x.in = *r.WithContext(x)
	x.out.ResponseWriter, x.out.of = w, x
	// A name for logs, not a secret.
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], rand.Uint64())
	hex.Encode(x.id[:], b[:])
	return x
}

func exchangeOf(ctx context.Context) *exchange {
	if x, is := ctx.(*exchange); is {
		return x // as it mostly is
	}
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// RequestID is the name under which this request is logged, "" outside of one.
func RequestID(ctx context.Context) string {
	if x := exchangeOf(ctx); x != nil {
		return string(x.id[:])
	}
	return ""
}

// ClientIP is the address of the client: the peer, or what trusted proxies
// said of it. It is invalid outside of a request.
func ClientIP(ctx context.Context) netip.Addr {
	if x := exchangeOf(ctx); x != nil {
		return x.addr
	}
	return netip.Addr{}
}

// Note adds a field to the request's log line. Eight fit, more are left out.
// A value is cut at 200 bytes.
func Note(ctx context.Context, key, value string) {
	x := exchangeOf(ctx)
	if x == nil || len(x.notes) == maxNotes {
		return
	}
	if x.notes == nil {
		x.notes = x.few[:0]
	}
	x.notes = append(x.notes, note{key, value})
}
