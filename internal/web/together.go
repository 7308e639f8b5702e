package web

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"sync"
)

// net/http gathers an answer in a buffer of 4 KiB, so that a longer one leaves in
// pieces: the header lines with the beginning of the body, then the rest. To send
// is the dearest part of a short answer, and each piece wakes the reader. Here the
// first piece waits for the one behind it, while a handler writes a long body and
// no longer than that.

const (
	pieceSize = 4 << 10 // the buffer of net/http
	longBody  = 3 << 10 // what is no longer leaves in one piece with its header lines
)

type connKey struct{}

// withConn lets the answers of plain HTTP/1.1 find their connection. TLS has pieces
// of its own, and HTTP/2 too.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if _, is := c.(*watchedConn); !is {
		return ctx
	}
	return context.WithValue(ctx, connKey{}, c)
}

// held is the first piece of a long body on its way.
type held struct {
	first  []byte
	pieces [2][]byte
	both   net.Buffers
}

var helds = sync.Pool{New: func() any { return &held{first: make([]byte, 0, pieceSize)} }}

// write keeps a piece, or sends it behind the one that waits.
func (h *held) write(c *watchedConn, b []byte) (int, error) {
	if len(h.first) == 0 && len(b) <= pieceSize {
		h.first = append(h.first, b...) // b is written again before the next piece comes
		return len(b), nil
	}
	err := h.send(c, b)
	// What is left is of b's end, and maybe of the piece before it, which the caller believes sent.
	left := 0
	for _, piece := range h.both {
		left += len(piece)
	}
	return max(len(b)-left, 0), err
}

func (h *held) send(c *watchedConn, b []byte) error {
	h.pieces = [2][]byte{h.first, b}
	h.both = h.pieces[:]
	err := c.writeBoth(&h.both)
	h.first = h.first[:0]
	return err
}

// together writes a long body so that its first piece leaves with the next one.
// Nothing is held any more when it returns.
func (w *response) together(b []byte) (int, error) {
	c, _ := w.of.Value(connKey{}).(*watchedConn)
	if c == nil {
		return w.ResponseWriter.Write(b)
	}
	h := helds.Get().(*held)
	c.held = h
	defer func() {
		c.held, h.first, h.pieces, h.both = nil, h.first[:0], [2][]byte{}, nil
		helds.Put(h)
	}()
	n, err := w.ResponseWriter.Write(b)
	if err == nil && len(h.first) > 0 && w.Header()["Content-Length"] != nil {
		err = http.NewResponseController(w.ResponseWriter).Flush() // the end is in net/http's buffer
	}
	if len(h.first) > 0 {
		if e := h.send(c, nil); e != nil {
			_ = c.Close() // net/http believes it sent, and would go on behind the hole
			err = cmp.Or(err, e)
		}
	}
	return n, err
}
