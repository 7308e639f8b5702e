package statuslist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// An Encoder turns bitmaps into the lst of a list: zlib, then base64url
// (draft-ietf-oauth-status-list, section 4.2). It keeps its working memory, so
// one is worth keeping; it is not safe for concurrent use. The zero value works.
type Encoder struct {
	z   *zlib.Writer
	buf bytes.Buffer
}

// Encode returns the lst of bits.
func (e *Encoder) Encode(bits []byte) string {
	e.buf.Reset()
	if e.z == nil {
		e.z = zlib.NewWriter(&e.buf)
	} else {
		e.z.Reset(&e.buf)
	}
	_, _ = e.z.Write(bits) // a bytes.Buffer takes everything
	_ = e.z.Close()
	return base64.RawURLEncoding.EncodeToString(e.buf.Bytes())
}

// Decode returns the bits of an lst, which must not be more than maxBytes:
// compression could otherwise make a small list fill the memory.
func Decode(lst string, maxBytes int64) ([]byte, error) {
	if strings.ContainsAny(lst, "\r\n") {
		return nil, errors.New("status list: line end in base64url")
	}
	packed, err := base64.RawURLEncoding.Strict().DecodeString(lst)
	if err != nil {
		return nil, errors.New("status list: not base64url")
	}
	src := bytes.NewReader(packed)
	z, err := zlib.NewReader(src)
	if err != nil {
		return nil, fmt.Errorf("status list: %w", err)
	}
	bits, err := io.ReadAll(io.LimitReader(z, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("status list: %w", err)
	}
	if int64(len(bits)) > maxBytes {
		return nil, fmt.Errorf("status list: more than %d bytes", maxBytes)
	}
	if src.Len() > 0 {
		return nil, errors.New("status list: data after the list")
	}
	return bits, nil
}
