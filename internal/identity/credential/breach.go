package credential

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// Breaches is a file of passwords known from breaches that the operator brings.
// Two forms are read, both without loading them:
//
//   - text: one SHA-1 in upper or lower case hexadecimal a line, sorted, with
//     anything behind a colon ignored, as "Have I Been Pwned" publishes it
//     ordered by hash;
//   - compact: what [BuildBreaches] makes of it, a sixth of the size: the line
//     "cardea-breaches-1\n", then the first 8 bytes of each SHA-1, sorted.
//
// The compact form takes one password in 2^64/n for breached that is not.
type Breaches struct {
	file    io.ReaderAt
	size    int64
	compact bool
	close   func() error
}

const (
	breachMagic  = "cardea-breaches-1\n"
	breachPrefix = 8
	maxLine      = 128
)

// OpenBreaches opens a file of either form.
func OpenBreaches(path string) (*Breaches, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("breach file: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("is a folder")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("breach file %s: %w", path, err)
	}
	b, err := newBreaches(f, info.Size())
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("breach file %s: %w", path, err)
	}
	b.close = f.Close
	return b, nil
}

func newBreaches(f io.ReaderAt, size int64) (*Breaches, error) {
	b := &Breaches{file: f, size: size, close: func() error { return nil }}
	head := make([]byte, len(breachMagic))
	if n, err := f.ReadAt(head, 0); err == nil && string(head[:n]) == breachMagic {
		b.compact = true
		if (size-int64(len(breachMagic)))%breachPrefix != 0 {
			return nil, errors.New("the file is cut off; build it again")
		}
		return b, nil
	}
	if _, err := b.sumBehind(0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("neither a compact file nor lines of SHA-1 in hexadecimal: %w", err)
	}
	return b, nil
}

// Close closes the file.
func (b *Breaches) Close() error { return b.close() }

// Contain reports whether password is in the file.
func (b *Breaches) Contain(password string) (bool, error) {
	sum := sha1.Sum([]byte(password))
	if b.compact {
		return b.findPrefix(sum[:breachPrefix])
	}
	return b.findLine(sum[:])
}

func (b *Breaches) findPrefix(want []byte) (bool, error) {
	var failed error
	var got [breachPrefix]byte
	read := func(i int) []byte {
		if _, err := b.file.ReadAt(got[:], int64(len(breachMagic))+int64(i)*breachPrefix); err != nil {
			failed = err
		}
		return got[:]
	}
	n := int((b.size - int64(len(breachMagic))) / breachPrefix)
	at := sort.Search(n, func(i int) bool { return failed != nil || bytes.Compare(read(i), want) >= 0 })
	if failed != nil {
		return false, fmt.Errorf("breach file: %w", failed)
	}
	found := at < n && bytes.Equal(read(at), want)
	return found && failed == nil, failed
}

// findLine searches byte offsets: each stands for the first line that begins at
// or behind it.
func (b *Breaches) findLine(want []byte) (bool, error) {
	var failed error
	at := sort.Search(int(b.size), func(i int) bool {
		sum, err := b.sumBehind(int64(i))
		if err != nil && err != io.EOF {
			failed = err
		}
		return err != nil || bytes.Compare(sum, want) >= 0
	})
	if failed != nil {
		return false, fmt.Errorf("breach file: %w", failed)
	}
	sum, err := b.sumBehind(int64(at))
	if err == io.EOF {
		return false, nil
	}
	return bytes.Equal(sum, want), err
}

// sumBehind reads the SHA-1 on the first line that begins at or behind offset,
// or returns io.EOF.
func (b *Breaches) sumBehind(offset int64) ([]byte, error) {
	from := max(offset-1, 0)
	var buf [2 * maxLine]byte
	n, err := b.file.ReadAt(buf[:], from)
	if err != nil && err != io.EOF {
		return nil, err
	}
	text := buf[:n]
	if offset > 0 {
		i := bytes.IndexByte(text, '\n')
		if i < 0 && from+int64(n) < b.size {
			return nil, fmt.Errorf("a line near byte %d is longer than %d bytes", offset, maxLine)
		}
		text = text[max(i, 0):]
		text = bytes.TrimPrefix(text, []byte("\n"))
		if i < 0 {
			return nil, io.EOF
		}
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, io.EOF
	}
	return lineSum(text, offset)
}

func lineSum(line []byte, offset int64) ([]byte, error) {
	sum := make([]byte, sha1.Size)
	if len(line) < 2*sha1.Size {
		return nil, fmt.Errorf("the line near byte %d holds no SHA-1", offset)
	}
	if _, err := hex.Decode(sum, line[:2*sha1.Size]); err != nil {
		return nil, fmt.Errorf("the line near byte %d holds no SHA-1", offset)
	}
	return sum, nil
}

// BuildBreaches reads lines of the text form from r and writes the compact form
// to w. Lines out of order are an error, for the search relies on it.
func BuildBreaches(w io.Writer, r io.Reader) error {
	out := bufio.NewWriterSize(w, 1<<16)
	if _, err := out.WriteString(breachMagic); err != nil {
		return err
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), 1<<10)
	last, first := uint64(0), true
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		sum, err := lineSum([]byte(text), 0)
		if err != nil {
			return fmt.Errorf("line %d holds no SHA-1", n)
		}
		prefix := binary.BigEndian.Uint64(sum)
		if !first && prefix < last {
			return fmt.Errorf("line %d is out of order: sort the file first", n)
		}
		if first || prefix != last {
			if _, err := out.Write(sum[:breachPrefix]); err != nil {
				return err
			}
		}
		last, first = prefix, false
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return out.Flush()
}
