package opal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/realm"
)

// framed is a frame as a client sends it.
func framed(first byte, payload string) []byte {
	out := []byte{first}
	switch n := len(payload); {
	case n < 126:
		out = append(out, 0x80|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(n))
	}
	mask := []byte{1, 2, 3, 4}
	out = append(out, mask...)
	for i := range len(payload) {
		out = append(out, payload[i]^mask[i%4])
	}
	return out
}

type hole struct{ net.Conn }

func (hole) Write(b []byte) (int, error)      { return len(b), nil }
func (hole) Close() error                     { return nil }
func (hole) SetDeadline(time.Time) error      { return nil }
func (hole) SetReadDeadline(time.Time) error  { return nil }
func (hole) SetWriteDeadline(time.Time) error { return nil }

func reading(b []byte) *socket {
	return &socket{conn: hole{}, in: bufio.NewReader(bytes.NewReader(b))}
}

func TestMessagesOfWebSockets(t *testing.T) {
	long := strings.Repeat("x", 70<<10)
	for name, c := range map[string]struct {
		sent []byte
		want string
		code int
	}{
		"one frame":           {framed(0x81, "hello"), "hello", 0},
		"in parts, with ping": {append(append(framed(0x01, "he"), framed(0x89, "?")...), framed(0x80, "llo")...), "hello", 0},
		"of middle length":    {framed(0x81, strings.Repeat("y", 300)), strings.Repeat("y", 300), 0},
		"too long":            {framed(0x81, long), "", endTooBig},
		"too long in parts":   {append(framed(0x01, long[:40<<10]), framed(0x80, long[:40<<10])...), "", endTooBig},
		"length that lies":    {[]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, "", endTooBig},
		"not masked":          {[]byte{0x81, 2, 'h', 'i'}, "", endProtocol},
		"reserved bits":       {framed(0xc1, "hi"), "", endProtocol},
		"unknown kind":        {framed(0x83, "hi"), "", endProtocol},
		"goes on unbegun":     {framed(0x80, "hi"), "", endProtocol},
		"begins in another":   {append(framed(0x01, "a"), framed(0x81, "b")...), "", endProtocol},
		"ping in parts":       {framed(0x09, "hi"), "", endProtocol},
		"no text":             {framed(0x81, "\xff"), "", endData},
		"goodbye":             {framed(0x88, "\x03\xe8"), "", endNormal},
	} {
		got, err := reading(c.sent).receive(func() {})
		if c.code == 0 {
			if err != nil || string(got) != c.want {
				t.Errorf("%s: %.20q, %v", name, got, err)
			}
			continue
		}
		if code, _ := reason(err); err == nil || code != c.code {
			t.Errorf("%s: %v, want code %d", name, err, c.code)
		}
	}
}

// Whatever a client sends is messages of bounded text, or the end with a reason; and
// what a message calls is answered as JSON, or is no call.
func FuzzSocket(f *testing.F) {
	for _, s := range []string{"hello", "", "{}", `{"request":{"method":"subscribe","arguments":{"topics":["policy_data","policy:a","x:data:policy_data",7]},"call_id":"1"}}`,
		`{"request":{"method":"_get_channel_id_","arguments":null}}`, `{"request":{"method":"unsubscribe","arguments":{"topics":"policy_data"}}}`, `{"response":{"result":null}}`} {
		f.Add(framed(0x81, s))
		f.Add(append(framed(0x01, s), framed(0x80, s)...))
		f.Add(append(framed(0x89, s[:min(len(s), 9)]), framed(0x82, s)...))
	}
	f.Add(framed(0x81, strings.Repeat("y", 300)))
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := reading(b)
		k := &connection{socket: s, id: "wsc_1", realm: &realm.Realm{Name: "test"}, topics: map[string]topic{}}
		for {
			m, err := s.receive(func() {})
			if err != nil {
				return
			}
			if len(m) > maxMessage || !utf8.Valid(m) {
				t.Fatalf("a message of %d bytes", len(m))
			}
			answer, err := k.answer(m)
			if err == nil && len(answer) > 0 && !json.Valid(answer) {
				t.Fatalf("%q is answered with %q", m, answer)
			}
			if len(k.topics) > mostTopics {
				t.Fatalf("%d topics", len(k.topics))
			}
		}
	})
}
