package statuslist

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync/atomic"
)

// PageBytes is the unit in which bitmaps are stored; PageBits is how many
// indexes a page holds.
const (
	PageBytes = 4096
	PageBits  = PageBytes * 8
)

// MaxSize is the largest number of indexes a list may have.
const MaxSize = 1 << 30

// Bitmap holds one bit per index of a list: set means the token is dead. Bits
// are only ever set. It is safe for concurrent use, and reading takes no lock.
type Bitmap struct {
	size  int64
	words []atomic.Uint64 // bit i is bit i%64 of word i/64, so bytes are least significant bit first
}

// NewBitmap returns a bitmap of size indexes, all alive.
func NewBitmap(size int64) (*Bitmap, error) {
	if size < 1 || size > MaxSize {
		return nil, fmt.Errorf("a status list has 1 to %d indexes, not %d", MaxSize, size)
	}
	return &Bitmap{size: size, words: make([]atomic.Uint64, (size+63)/64)}, nil
}

// Size returns the number of indexes.
func (b *Bitmap) Size() int64 { return b.size }

// Get reports whether index i is dead. An index outside the list counts as
// dead: what is unknown is refused.
func (b *Bitmap) Get(i int64) bool {
	if i < 0 || i >= b.size {
		return true
	}
	return b.words[i>>6].Load()&(1<<(i&63)) != 0
}

// Set marks index i dead and reports whether it was alive until now. An index
// outside the list changes nothing.
func (b *Bitmap) Set(i int64) bool {
	if i < 0 || i >= b.size {
		return false
	}
	bit := uint64(1) << (i & 63)
	return b.words[i>>6].Or(bit)&bit == 0
}

// Count returns how many indexes are dead.
func (b *Bitmap) Count() int64 {
	var n int64
	for i := range b.words {
		n += int64(bits.OnesCount64(b.words[i].Load()))
	}
	return n
}

// Bytes returns a copy of the bitmap as section 4.1 of the draft lays it out:
// index 0 is the least significant bit of the first byte.
func (b *Bitmap) Bytes() []byte {
	out := make([]byte, len(b.words)*8)
	b.copyTo(out, 0)
	return out[:(b.size+7)/8]
}

// Pages returns how many pages the bitmap has; the last may be short.
func (b *Bitmap) Pages() int { return int((b.size + PageBits - 1) / PageBits) }

// Page returns a copy of page n, nil if there is no such page.
func (b *Bitmap) Page(n int) []byte {
	if n < 0 || n >= b.Pages() {
		return nil
	}
	first := n * (PageBytes / 8)
	last := min(first+PageBytes/8, len(b.words))
	out := make([]byte, (last-first)*8)
	b.copyTo(out, first)
	return out
}

func (b *Bitmap) copyTo(out []byte, firstWord int) {
	for i := 0; i < len(out)/8; i++ {
		binary.LittleEndian.PutUint64(out[i*8:], b.words[firstWord+i].Load())
	}
}

// LoadPage adds the dead of a stored page. It never revives: bits already set
// stay set whatever the page says.
func (b *Bitmap) LoadPage(n int, page []byte) error {
	if n < 0 || n >= b.Pages() {
		return fmt.Errorf("page %d of a status list with %d", n, b.Pages())
	}
	return b.merge(int64(n)*PageBits, page)
}

// Merge adds the dead of a whole bitmap as Bytes returns it; nothing is revived.
func (b *Bitmap) Merge(dead []byte) error { return b.merge(0, dead) }

// merge ORs the dead in, starting at an index that is a multiple of 64.
func (b *Bitmap) merge(start int64, dead []byte) error {
	if int64(len(dead)) > int64(len(b.words))*8-start/8 {
		return fmt.Errorf("%d bytes at index %d of a status list with %d indexes", len(dead), start, b.size)
	}
	word := start / 64
	for len(dead) > 0 {
		var w [8]byte
		n := copy(w[:], dead)
		dead = dead[n:]
		v := binary.LittleEndian.Uint64(w[:])
		if end := (word + 1) * 64; end > b.size {
			v &= 1<<(b.size-word*64) - 1 // no index lives beyond the end
		}
		if v != 0 {
			b.words[word].Or(v)
		}
		word++
	}
	return nil
}
