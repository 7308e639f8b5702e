package statuslist

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// rounds of the Feistel network. Small lists have small halves, which need
// more rounds than the usual four to look random.
const rounds = 12

// Permutation maps a counter to an index, each index exactly once, so that
// counting up hands out indexes whose neighbours say nothing about who got
// them or when. Without the key the order cannot be told from a random one.
type Permutation struct {
	size        int64
	left, right int // bits of the two halves
	block       cipher.Block
}

// NewPermutation returns the order of one list of size indexes; size is a power
// of two from 2 to MaxSize. The same key gives every list its own order.
func NewPermutation(key []byte, listID string, size int64) (*Permutation, error) {
	if size < 2 || size > MaxSize || size&(size-1) != 0 {
		return nil, fmt.Errorf("a status list has a power of two of indexes, 2 to %d, not %d", MaxSize, size)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("status list order\x00" + listID))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		return nil, err
	}
	n := bits.Len64(uint64(size)) - 1
	return &Permutation{size: size, left: n / 2, right: n - n/2, block: block}, nil
}

// At returns the index of a counter in [0, size). A counter outside has no
// index and panics, as a slice would: handing out an index twice would let one
// person's revocation be another's.
func (p *Permutation) At(counter int64) int64 {
	if counter < 0 || counter >= p.size {
		panic(fmt.Sprintf("status list: counter %d of %d", counter, p.size))
	}
	// An alternating Feistel network: each round changes one half by a function
	// of the other, which can always be undone, so it never maps two to one and
	// needs no walking along cycles.
	maskL, maskR := uint32(1)<<p.left-1, uint32(1)<<p.right-1
	l, r := uint32(counter>>p.right), uint32(counter)&maskR
	var in, out [aes.BlockSize]byte
	for i := range byte(rounds) {
		in[0] = i
		if i%2 == 0 {
			binary.BigEndian.PutUint32(in[1:], r)
			p.block.Encrypt(out[:], in[:])
			l ^= binary.BigEndian.Uint32(out[:]) & maskL
		} else {
			binary.BigEndian.PutUint32(in[1:], l)
			p.block.Encrypt(out[:], in[:])
			r ^= binary.BigEndian.Uint32(out[:]) & maskR
		}
	}
	return int64(l)<<p.right | int64(r)
}
