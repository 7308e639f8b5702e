package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/cardea-id/cardea/internal/fault"
)

func (r *Repository) ask(ctx context.Context, command string, limit int, args ...string) ([]byte, error) {
	var b bytes.Buffer
	line := func(s string) { fmt.Fprintf(&b, "%04x%s\n", len(s)+5, s) }
	line("command=" + command)
	line("agent=cardea")
	line("object-format=sha1")
	b.WriteString("0001")
	for _, a := range args {
		line(a)
	}
	b.WriteString("0000")
	return r.Exchange(ctx, Request{URL: r.URL + "/git-upload-pack", Username: r.Username, Password: r.Password, Body: b.Bytes(), Limit: limit,
		Header: map[string]string{"Git-Protocol": "version=2", "Content-Type": "application/x-git-upload-pack-request", "Accept": "application/x-git-upload-pack-result"}})
}

var errGit = errors.New("the server's answer is not Git's protocol")

// packets splits an answer into its lines; delimiters and flushes are nil.
func packets(b []byte) (all [][]byte, err error) {
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errGit
		}
		n, err := strconv.ParseUint(string(b[:4]), 16, 16)
		if err != nil || n == 3 || int(n) > len(b) {
			return nil, errGit
		}
		if n < 4 {
			all, b = append(all, nil), b[4:]
			continue
		}
		l := b[4:n]
		if said, failed := bytes.CutPrefix(l, []byte("ERR ")); failed {
			return nil, fmt.Errorf("the server says: %s", fault.Line(string(said)))
		}
		all, b = append(all, bytes.TrimSuffix(l, []byte("\n"))), b[n:]
	}
	return all, nil
}

func has(lines [][]byte, want string) bool {
	for _, l := range lines {
		if string(l) == want {
			return true
		}
	}
	return false
}

// packIn takes the pack out of the answer to a fetch.
func packIn(b []byte) ([]byte, error) {
	var pack []byte
	inside := false
	for len(b) >= 4 {
		n, err := strconv.ParseUint(string(b[:4]), 16, 16)
		if err != nil || n == 3 || int(n) > len(b) {
			return nil, errGit
		}
		if n < 4 {
			b = b[4:]
			continue
		}
		l := b[4:n]
		b = b[n:]
		switch {
		case !inside && bytes.HasPrefix(l, []byte("ERR ")):
			return nil, fmt.Errorf("the server says: %s", fault.Line(string(l[4:])))
		case !inside:
			inside = string(bytes.TrimSuffix(l, []byte("\n"))) == "packfile"
		case len(l) > 0 && l[0] == 1:
			pack = append(pack, l[1:]...)
		case len(l) > 0 && l[0] == 3:
			return nil, fmt.Errorf("the server says: %s", fault.Line(string(l[1:])))
		}
	}
	if pack == nil {
		return nil, errGit
	}
	return pack, nil
}
