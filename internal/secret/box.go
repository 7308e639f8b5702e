package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
)

// MasterKeySize is the length of a master key in bytes.
const MasterKeySize = 32

// Box seals what the database keeps, under the master key. Whoever holds the
// database but not the master key learns nothing that is sealed; whoever holds
// both can sign as every realm.
type Box struct{ aead cipher.AEAD }

// sealedV1 is the first byte of everything sealed, so that a later form can be told apart.
const sealedV1 = 1

var errSealed = errors.New("secret: cannot open what was sealed (wrong master key, or the row was changed or moved)")

// NewBox returns a box under a master key of MasterKeySize bytes.
func NewBox(master []byte) (*Box, error) {
	if len(master) != MasterKeySize {
		return nil, fmt.Errorf("master key has %d bytes, want %d", len(master), MasterKeySize)
	}
	aead, err := newAEAD(Derive(master, "cardea/box/v1"))
	if err != nil {
		return nil, err
	}
	return &Box{aead}, nil
}

// NewAEAD returns AES-256-GCM with random nonces under a 32-byte key. The nonce
// is part of the sealed text.
func NewAEAD(key []byte) (cipher.AEAD, error) { return newAEAD(key) }

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("sealing key has %d bytes, want 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal encrypts plain and binds it to its place: realm, type, id and so on. It
// opens only with the same place, so a sealed value cannot be moved to another row.
func (b *Box) Seal(plain []byte, place ...string) []byte {
	return b.aead.Seal([]byte{sealedV1}, nil, plain, canonical("cardea/sealed", place))
}

// Open decrypts what Seal made for the same place.
func (b *Box) Open(sealed []byte, place ...string) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealedV1 {
		return nil, errSealed
	}
	plain, err := b.aead.Open(nil, nil, sealed[1:], canonical("cardea/sealed", place))
	if err != nil {
		return nil, errSealed
	}
	return plain, nil
}
