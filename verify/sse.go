package verify

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// event is one server-sent event.
type event struct {
	name, id string
	data     []byte
}

// eventReader reads server-sent events (HTML Living Standard, section 9.2.6),
// none larger than a bound.
type eventReader struct {
	r     *bufio.Reader
	limit int64
	alive func() // called whenever something arrived, a comment included
}

var errEventSize = errors.New("verify: an event on the revocation stream is larger than MaxStateBytes")

func newEventReader(r io.Reader, limit int64, alive func()) *eventReader {
	return &eventReader{r: bufio.NewReaderSize(r, 16<<10), limit: limit, alive: alive}
}

// next returns the next event. Its data is valid until the next call.
func (e *eventReader) next() (event, error) {
	var ev event
	size := int64(0)
	for {
		line, err := e.line(&size)
		if err != nil {
			return event{}, err
		}
		e.alive()
		if len(line) == 0 {
			if ev.data != nil {
				return ev, nil
			}
			ev = event{}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimPrefix(value, []byte{' '})
		switch string(field) {
		case "event":
			ev.name = string(value)
		case "id":
			ev.id = string(value)
		case "data":
			if ev.data == nil {
				ev.data = value
			} else {
				ev.data = append(append(ev.data, '\n'), value...)
			}
		}
	}
}

// line reads one line of any length within the bound, without its end. The
// result is the caller's to keep.
func (e *eventReader) line(size *int64) ([]byte, error) {
	var whole []byte
	for {
		part, err := e.r.ReadSlice('\n')
		if *size += int64(len(part)); *size > e.limit {
			return nil, errEventSize
		}
		whole = append(whole, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(whole[:len(whole)-1], []byte{'\r'}), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
		e.alive()
	}
}
