package keyring

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// Sealer seals opaque tokens under the realm's current sealing key and opens
// what any key still in force has sealed. Values are good for one request: ask
// the Ring again for the next.
type Sealer struct {
	current *sealKey
	byNum   map[uint32]*sealKey
}

// ErrUnsealable is the one error of Sealer.Open: made elsewhere, changed,
// truncated, or sealed by a key that is gone. It tells no more on purpose.
var ErrUnsealable = errors.New("not sealed by a key in force")

// Sealed text is: version, number of the key, nonce, ciphertext and tag.
const (
	sealedV1     = 1
	nonceBytes   = 24
	tagBytes     = 16
	sealedHeader = 1 + 4 + nonceBytes
	// SealHead is how many bytes of sealed text stand before what was plain.
	SealHead = sealedHeader
	// SealOverhead is by how many bytes sealed text is longer than plain text.
	SealOverhead = sealedHeader + tagBytes
)

// Sealer returns the sealer of a realm.
func (r *Ring) Sealer(ctx context.Context, realm string) (*Sealer, error) {
	k, err := r.keys(ctx, realm)
	if err != nil {
		return nil, err
	}
	s := k.view(r.db.Now()).sealer
	if s.current == nil {
		return nil, fault.New(fault.Unavailable, "key_unavailable", "realm %s has no active sealing key", realm)
	}
	return s, nil
}

// Seal encrypts for a place (realm, type, …), which Open must name again, what b
// holds behind its first SealHead bytes. It writes over b.
func (s *Sealer) Seal(b []byte, place ...string) []byte {
	b[0] = sealedV1
	binary.BigEndian.PutUint32(b[1:], s.current.number)
	nonce, run := b[5:sealedHeader], s.current.series()
	copy(nonce, run.first[:])
	rand.Read(nonce[firstBytes:])
	// What is bound to it lies in the same buffer, behind the tag.
	end := len(b) + tagBytes
	bound := additional(slices.Grow(b, tagBytes)[:end], b[:5], place)[end:]
	return run.aead.Seal(b[:sealedHeader], nonce[firstBytes:], b[sealedHeader:], bound)
}

// Open decrypts what Seal made for the same place, or returns ErrUnsealable.
func (s *Sealer) Open(sealed []byte, place ...string) ([]byte, error) {
	if len(sealed) < SealOverhead || sealed[0] != sealedV1 {
		return nil, ErrUnsealable
	}
	key := s.byNum[binary.BigEndian.Uint32(sealed[1:])]
	if key == nil {
		return nil, ErrUnsealable
	}
	nonce := sealed[5:sealedHeader]
	plain, err := key.opener(nonce).Open(nil, nonce[firstBytes:], sealed[sealedHeader:], additional(nil, sealed[:5], place))
	if err != nil {
		return nil, ErrUnsealable
	}
	return plain, nil
}

// additional appends an injective encoding of all that is bound to a sealed text.
func additional(b, head []byte, place []string) []byte {
	n := len(head)
	for _, p := range place {
		n += 4 + len(p)
	}
	b = append(slices.Grow(b, n), head...)
	for _, p := range place {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return b
}

// sealKey is one sealing key. It encrypts with XAES-256-GCM (C2SP): the key of
// a message is derived from the first half of a 24-byte random nonce, so that no
// number of tokens brings a nonce to repeat, as the 12 bytes of plain AES-GCM
// would after some billions. A series of messages shares the first half, since
// the derivation costs more than the sealing.
type sealKey struct {
	number               uint32
	activeFrom, retireAt time.Time
	block                cipher.Block
	k1                   [aes.BlockSize]byte
	sealing, opening     *atomic.Pointer[series] // the last of each
}

// series is what messages have in common whose nonces begin alike.
type series struct {
	first [firstBytes]byte
	aead  cipher.AEAD
	left  atomic.Int64 // how many messages may still be sealed in it
}

const (
	firstBytes = 12
	// seriesLength bounds the messages of one derived key. Their 96 random bits
	// of nonce are good for 2^32 (NIST SP 800-38D, section 8.3).
	seriesLength = 1 << 20
)

// series is the one to seal the next message in.
func (s *sealKey) series() *series {
	if run := s.sealing.Load(); run != nil && run.left.Add(-1) >= 0 {
		return run
	}
	fresh := new(series)
	rand.Read(fresh.first[:])
	fresh.aead = s.aead(fresh.first[:])
	fresh.left.Store(seriesLength - 1)
	s.sealing.Store(fresh)
	return fresh
}

// opener is AES-256-GCM under the key of a message.
func (s *sealKey) opener(nonce []byte) cipher.AEAD {
	for _, known := range [...]*atomic.Pointer[series]{s.sealing, s.opening} {
		if run := known.Load(); run != nil && [firstBytes]byte(nonce[:firstBytes]) == run.first {
			return run.aead
		}
	}
	met := &series{first: [firstBytes]byte(nonce[:firstBytes]), aead: s.aead(nonce)}
	s.opening.Store(met)
	return met.aead
}

func newSealKey(row secretRow, key []byte) (sealKey, error) {
	if row.generation < 1 || row.generation > math.MaxUint32 {
		return sealKey{}, errors.New("sealing key with an impossible generation")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealKey{}, err
	}
	s := sealKey{number: uint32(row.generation), activeFrom: row.activeFrom, retireAt: row.retireAt, block: block,
		sealing: new(atomic.Pointer[series]), opening: new(atomic.Pointer[series])}
	block.Encrypt(s.k1[:], s.k1[:])
	var carry byte
	for i := len(s.k1) - 1; i >= 0; i-- {
		s.k1[i], carry = s.k1[i]<<1|carry, s.k1[i]>>7
	}
	s.k1[len(s.k1)-1] ^= carry * 0x87
	return s, nil
}

// aead returns AES-256-GCM under the key that belongs to a nonce.
func (s *sealKey) aead(nonce []byte) cipher.AEAD {
	var key [32]byte
	for i := range byte(2) {
		half := key[i*16 : i*16+16]
		copy(half, []byte{0, i + 1, 'X', 0})
		copy(half[4:], nonce[:12])
		for j := range half {
			half[j] ^= s.k1[j]
		}
		s.block.Encrypt(half, half)
	}
	block, _ := aes.NewCipher(key[:]) // 32 bytes are always a key
	gcm, _ := cipher.NewGCM(block)
	return gcm
}

// newSealer picks the keys in force at an instant: the newest that has begun
// seals, and all that have not retired open. Keys that have not begun open too,
// for nodes whose clock is ahead.
func newSealer(all []sealKey, now time.Time, change func(time.Time)) *Sealer {
	s := &Sealer{byNum: map[uint32]*sealKey{}}
	for i := range all {
		k := &all[i]
		change(k.activeFrom)
		change(k.retireAt)
		if !k.retireAt.IsZero() && !now.Before(k.retireAt) {
			continue
		}
		s.byNum[k.number] = k
		if !now.Before(k.activeFrom) && (s.current == nil || k.number > s.current.number) {
			s.current = k
		}
	}
	return s
}
