package passkeytest

import "encoding/binary"

// The items of CBOR (RFC 8949) that authenticators write.

// Int is an integer.
func Int(n int) []byte {
	if n < 0 {
		return head(1, uint64(-1-n))
	}
	return head(0, uint64(n))
}

// Bytes is a byte string.
func Bytes(b []byte) []byte { return append(head(2, uint64(len(b))), b...) }

// Text is a text string.
func Text(s string) []byte { return append(head(3, uint64(len(s))), s...) }

// Array is an array of items.
func Array(items ...[]byte) []byte { return join(head(4, uint64(len(items))), items) }

// Map is a map of keys and values, one after the other.
func Map(items ...[]byte) []byte { return join(head(5, uint64(len(items)/2)), items) }

func join(b []byte, items [][]byte) []byte {
	for _, i := range items {
		b = append(b, i...)
	}
	return b
}

func head(major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return []byte{major | byte(n)}
	case n < 1<<8:
		return []byte{major | 24, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{major | 25}, uint16(n))
	}
	return binary.BigEndian.AppendUint32([]byte{major | 26}, uint32(n))
}
