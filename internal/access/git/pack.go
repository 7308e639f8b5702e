package git

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// object is what a pack holds.
type object struct {
	kind byte // 1 commit, 2 tree, 3 blob, 4 tag
	data []byte
	over bool // it is too large to be kept
	hops int
}

// objects are held by their ids, which are the hashes of what is in them.
type objects map[string]*object

var kinds = map[byte]string{1: "commit", 2: "tree", 3: "blob", 4: "tag"}

// unpack reads a pack of version 2 (gitformat-pack).
func unpack(p []byte) (objects, error) {
	if len(p) < 32 || string(p[:4]) != "PACK" || binary.BigEndian.Uint32(p[4:]) != 2 {
		return nil, errGit
	}
	body, sum := p[:len(p)-20], p[len(p)-20:]
	if got := sha1.Sum(body); !bytes.Equal(got[:], sum) {
		return nil, errors.New("the pack did not arrive whole")
	}
	n := binary.BigEndian.Uint32(p[8:])
	if n > maxObjects {
		return nil, tooMuch()
	}
	byID, at, total := objects{}, map[int]*object{}, 0
	r := bytes.NewReader(body)
	_, _ = r.Seek(12, io.SeekStart)
	for range n {
		start := len(body) - r.Len()
		o, size, err := next(r, start, byID, at)
		if err != nil {
			return nil, err
		}
		if total += size; total > maxUnpacked {
			return nil, tooMuch()
		}
		at[start] = o
		if !o.over {
			byID[idOf(o)] = o
		}
	}
	return byID, nil
}

func tooMuch() error {
	return errors.New("the repository is too large to be read (keep policies in one of their own)")
}

func idOf(o *object) string {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", kinds[o.kind], len(o.data))
	h.Write(o.data)
	return hex.EncodeToString(h.Sum(nil))
}

// next reads one object, whose size in the pack's own words it returns as well.
func next(r *bytes.Reader, start int, byID objects, at map[int]*object) (*object, int, error) {
	b, err := r.ReadByte()
	if err != nil {
		return nil, 0, errGit
	}
	kind, size, shift := b>>4&7, int(b&15), 4
	for b&0x80 != 0 && shift < 32 {
		if b, err = r.ReadByte(); err != nil {
			return nil, 0, errGit
		}
		size |= int(b&0x7f) << shift
		shift += 7
	}
	if size > maxUnpacked {
		return nil, 0, tooMuch()
	}
	var base *object
	switch kind {
	case 6: // made from the object so many bytes before
		back, err := offset(r)
		if err != nil {
			return nil, 0, err
		}
		base = at[start-back]
	case 7: // made from the object of this id
		var id [20]byte
		if _, err := io.ReadFull(r, id[:]); err != nil {
			return nil, 0, errGit
		}
		base = byID[hex.EncodeToString(id[:])]
	case 1, 2, 3, 4:
	default:
		return nil, 0, errGit
	}
	data, err := inflate(r, size)
	if err != nil {
		return nil, 0, err
	}
	if kind < 5 {
		return &object{kind: kind, data: data, over: data == nil && size > 0}, size, nil
	}
	switch {
	case base == nil || base.hops == maxDeltas:
		return nil, 0, errGit
	case base.over || data == nil:
		return &object{kind: base.kind, over: true, hops: base.hops + 1}, size, nil
	}
	made, over, err := apply(base.data, data)
	if err != nil {
		return nil, 0, err
	}
	return &object{kind: base.kind, data: made, over: over, hops: base.hops + 1}, size + len(made), nil
}

func offset(r *bytes.Reader) (int, error) {
	b, err := r.ReadByte()
	n := int(b & 0x7f)
	for err == nil && b&0x80 != 0 && n < 1<<32 {
		b, err = r.ReadByte()
		n = (n+1)<<7 | int(b&0x7f)
	}
	if err != nil {
		return 0, errGit
	}
	return n, nil
}

// inflate reads what was compressed; nil if it is too large to be kept. The
// reader is a ByteReader, so that not a byte more is taken than belongs to it.
func inflate(r *bytes.Reader, size int) ([]byte, error) {
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, errGit
	}
	if size > maxObject {
		if n, err := io.Copy(io.Discard, io.LimitReader(z, int64(size)+1)); err != nil || n != int64(size) {
			return nil, errGit
		}
		return nil, nil
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(z, data); err != nil {
		return nil, errGit
	}
	if n, err := z.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return nil, errGit
	}
	return data, nil
}
