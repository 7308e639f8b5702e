package opal

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/fault"
)

// A WebSocket as RFC 6455 has it, the server's side, for short messages of text: no
// extensions, no subprotocols. What the other side sends is bounded and must be
// masked; a message in many frames counts as one.

// The opcodes (section 5.2) and the codes with which connections end (7.4.1).
const (
	opMore   = 0
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10

	endNormal   = 1000
	endAway     = 1001
	endProtocol = 1002
	endData     = 1007
	endPolicy   = 1008
	endTooBig   = 1009
)

const (
	guid        = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	maxMessage  = 64 << 10
	maxControl  = 125
	writeLimit  = 30 * time.Second
	pingEach    = 30 * time.Second
	mostMissed  = 3 // pings without any sign of life
	closeWithin = 2 * time.Second
)

// socket is an open connection. One goroutine reads; anybody writes.
type socket struct {
	conn net.Conn
	in   *bufio.Reader

	mu    sync.Mutex
	ended bool
}

// ended says why a connection is over.
type ended struct {
	code int
	why  string
}

func (e *ended) Error() string { return e.why }

// accept answers the opening handshake (section 4.2) and takes the connection over.
// Whatever is asked is refused before this.
func accept(w http.ResponseWriter, r *http.Request) (*socket, error) {
	key := r.Header.Get("Sec-WebSocket-Key")
	raw, err := base64.StdEncoding.DecodeString(key)
	switch {
	case !names(r.Header["Upgrade"], "websocket") || !names(r.Header["Connection"], "upgrade"):
		return nil, fault.New(fault.Invalid, "websocket_expected", "this address is for WebSockets")
	case r.Header.Get("Sec-WebSocket-Version") != "13" || err != nil || len(raw) != 16:
		w.Header().Set("Sec-WebSocket-Version", "13")
		return nil, fault.New(fault.Invalid, "websocket_invalid", "the WebSocket handshake is not one of version 13")
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fault.New(fault.Invalid, "websocket_impossible", "a WebSocket takes a connection of HTTP/1.1")
	}
	sum := sha1.Sum([]byte(key + guid))
	s := &socket{conn: conn, in: buffered.Reader}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		conn.Close()
		return nil, err
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
	if err := s.guarded(func() error { _, err := io.WriteString(conn, answer); return err }); err != nil {
		conn.Close()
		return s, err
	}
	return s, nil
}

// names reports whether a header has a token among those it lists.
func names(lines []string, token string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// guarded does a write and breaks the connection if it hangs.
func (s *socket) guarded(write func() error) error {
	guard := time.AfterFunc(writeLimit, func() { s.conn.Close() })
	defer guard.Stop()
	return write()
}

// send writes one frame.
func (s *socket) send(op byte, payload []byte) error {
	head := []byte{0x80 | op, 0}
	switch n := len(payload); {
	case n < 126:
		head[1] = byte(n)
	case n < 1<<16:
		head[1] = 126
		head = binary.BigEndian.AppendUint16(head, uint16(n))
	default:
		head[1] = 127
		head = binary.BigEndian.AppendUint64(head, uint64(n))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return net.ErrClosed
	}
	return s.guarded(func() error {
		_, err := s.conn.Write(append(head, payload...))
		return err
	})
}

// end says goodbye and closes the connection.
func (s *socket) end(code int, why string) {
	payload := binary.BigEndian.AppendUint16(nil, uint16(code))
	payload = append(payload, why[:min(len(why), maxControl-2)]...)
	_ = s.send(opClose, payload)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		time.AfterFunc(closeWithin, func() { s.conn.Close() }) // the goodbye has to arrive
	}
}

// receive returns the next message. alive is called for every frame.
func (s *socket) receive(alive func()) ([]byte, error) {
	var message []byte
	begun := false
	for {
		op, last, payload, err := s.frame(maxMessage - len(message))
		if err != nil {
			return nil, err
		}
		alive()
		switch op {
		case opPing:
			if err := s.send(opPong, payload); err != nil {
				return nil, err
			}
			continue
		case opPong:
			continue
		case opClose:
			return nil, &ended{endNormal, "the client said goodbye"}
		case opText, opBinary:
			if begun {
				return nil, &ended{endProtocol, "a message begins within another"}
			}
			begun = true
		case opMore:
			if !begun {
				return nil, &ended{endProtocol, "a message goes on that did not begin"}
			}
		default:
			return nil, &ended{endProtocol, "an unknown kind of frame"}
		}
		if message = append(message, payload...); !last {
			continue
		}
		if !utf8.Valid(message) {
			return nil, &ended{endData, "a message is not text"}
		}
		return message, nil
	}
}

// frame reads one frame of at most a number of bytes (section 5.2).
func (s *socket) frame(most int) (op byte, last bool, payload []byte, err error) {
	var head [14]byte
	if _, err := io.ReadFull(s.in, head[:2]); err != nil {
		return 0, false, nil, err
	}
	op, last = head[0]&0x0f, head[0]&0x80 != 0
	size := uint64(head[1] & 0x7f)
	control := op >= opClose
	switch {
	case head[0]&0x70 != 0:
		return 0, false, nil, &ended{endProtocol, "an extension that was not agreed upon"}
	case head[1]&0x80 == 0:
		return 0, false, nil, &ended{endProtocol, "a frame of a client is not masked"}
	case control && (size > maxControl || !last):
		return 0, false, nil, &ended{endProtocol, "a control frame is too long or in parts"}
	}
	extra := map[uint64]int{126: 2, 127: 8}[size]
	if _, err := io.ReadFull(s.in, head[2:2+extra+4]); err != nil {
		return 0, false, nil, err
	}
	switch extra {
	case 2:
		size = uint64(binary.BigEndian.Uint16(head[2:]))
	case 8:
		size = binary.BigEndian.Uint64(head[2:])
	}
	if !control && size > uint64(max(most, 0)) {
		return 0, false, nil, &ended{endTooBig, "a message is too long"}
	}
	mask := [4]byte(head[2+extra : 6+extra])
	payload = make([]byte, size)
	if _, err := io.ReadFull(s.in, payload); err != nil {
		return 0, false, nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return op, last, payload, nil
}

// reason is the code and the words with which a connection ends after an error.
func reason(err error) (int, string) {
	var e *ended
	if errors.As(err, &e) {
		return e.code, e.why
	}
	return endAway, ""
}
