package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A conn is one kept-alive HTTP/1.1 connection of a client that costs little,
// so that the machine is left to the server.
type conn struct {
	net.Conn
	in   *bufio.Reader
	body bytes.Buffer
}

func dial(address string) (*conn, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, 16<<10)}, nil
}

// send writes one request and reads its answer. The body is valid until the
// next call; location is the header of that name.
func (c *conn) send(request []byte) (status int, location string, body []byte, err error) {
	if _, err = c.Write(request); err != nil {
		return 0, "", nil, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, "", nil, err
	}
	if len(line) < 12 {
		return 0, "", nil, fmt.Errorf("malformed status line %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, "", nil, err
	}
	length, chunked := 0, false
	for {
		line, err = c.in.ReadSlice('\n')
		if err != nil {
			return 0, "", nil, err
		}
		if len(line) <= 2 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			length, err = strconv.Atoi(string(value))
		case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		case len(name) == len("Location") && bytes.EqualFold(name, []byte("Location")):
			location = string(value)
		}
		if err != nil {
			return 0, "", nil, err
		}
	}
	c.body.Reset()
	if chunked {
		err = c.readChunks()
	} else {
		_, err = io.CopyN(&c.body, c.in, int64(length))
	}
	return status, location, c.body.Bytes(), err
}

func (c *conn) readChunks() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(&c.body, c.in, n); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}

// request builds the bytes of one HTTP request.
func request(method, path string, header map[string]string, body string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, path)
	if header["Host"] == "" {
		b.WriteString("Host: 127.0.0.1\r\n")
	}
	for name, value := range header {
		fmt.Fprintf(&b, "%s: %s\r\n", textproto.CanonicalMIMEHeaderKey(name), value)
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return []byte(b.String())
}

// A unit does one piece of work on a connection: one request, or the two of a
// sign-in. It keeps what the next one needs.
type unit func(c *conn) error

// repeat is the unit that sends the same request again and again.
func repeat(req []byte, want int) func(int) unit {
	return func(int) unit {
		return func(c *conn) error {
			status, _, body, err := c.send(req)
			if err == nil && status != want {
				err = fmt.Errorf("status %d, not %d: %.200s", status, want, body)
			}
			return err
		}
	}
}

// A result is what a closed loop of some connections measured.
type result struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // of the server, per unit of work
}

// run keeps conns connections busy for a while, each with its own unit, after
// a warm-up of a quarter of that time.
func run(address string, pid, conns int, while time.Duration, work func(i int) unit) (result, error) {
	type sample struct {
		took []time.Duration
		err  error
	}
	samples := make([]sample, conns)
	warm := time.Now().Add(while / 4)
	end := warm.Add(while)
	var all sync.WaitGroup
	for i := range samples {
		all.Go(func() {
			c, err := dial(address)
			if err != nil {
				samples[i].err = err
				return
			}
			defer c.Close()
			do := work(i)
			for now := time.Now(); now.Before(end); {
				began := now
				if err := do(c); err != nil {
					samples[i].err = err
					return
				}
				if now = time.Now(); began.After(warm) {
					samples[i].took = append(samples[i].took, now.Sub(began))
				}
			}
		})
	}
	<-time.After(time.Until(warm))
	before, err := cpuTime(pid)
	if err != nil {
		return result{}, err
	}
	all.Wait()
	after, err := cpuTime(pid)
	if err != nil {
		return result{}, err
	}
	var took []time.Duration
	for _, s := range samples {
		if s.err != nil {
			return result{}, s.err
		}
		took = append(took, s.took...)
	}
	if len(took) == 0 {
		return result{}, errors.New("nothing was done")
	}
	slices.Sort(took)
	return result{
		perSecond: float64(len(took)) / while.Seconds(),
		p50:       took[len(took)/2], p99: took[len(took)*99/100],
		cpu: (after - before) / time.Duration(len(took)),
	}, nil
}

// cpuTime is the processor time that a process has used, from /proc, which
// counts in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may contain blanks: count behind it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// resident is the memory a process holds, in bytes.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmRSS")
}
