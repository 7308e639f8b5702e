package agent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
)

// Bundle is what an agent fetches at once, ready to send.
type Bundle struct {
	Tag   string // names the content: the entity tag without quotes
	Body  []byte // a gzipped tarball
	Delta bool   // it holds changes only
}

// file is one of a bundle. Structured ones are signed by what they say, others by
// their bytes.
type file struct {
	path string
	text []byte
}

const (
	manifestFile   = ".manifest"
	signaturesFile = ".signatures.json"
	dataFile       = "data.json"
	patchFile      = "patch.json"
)

// manifest is the bundle's own file of that name.
type manifest struct {
	Revision string         `json:"revision"`
	Roots    []string       `json:"roots"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

func manifestOf(m manifest) (file, error) {
	text, err := json.Marshal(m)
	return file{manifestFile, text}, err
}

// signed adds the signature over all files: a JSON Web Signature whose payload
// lists their hashes. scope is what kind of bundle it is, so that none can be
// handed out in place of another.
func signed(key *jose.Key, issuer, scope string, files []file) ([]file, error) {
	type entry struct {
		Name      string `json:"name"`
		Hash      string `json:"hash"`
		Algorithm string `json:"algorithm"`
	}
	payload := struct {
		Files  []entry `json:"files"`
		KeyID  string  `json:"keyid"`
		Scope  string  `json:"scope"`
		Issuer string  `json:"iss"`
	}{KeyID: key.ID, Scope: scope, Issuer: issuer}
	for _, f := range files {
		sum, err := digest(f)
		if err != nil {
			return nil, err
		}
		payload.Files = append(payload.Files, entry{f.path, hex.EncodeToString(sum), "SHA-256"})
	}
	claims, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	jws, err := jose.Sign(key, "JWT", claims)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(map[string][]string{"signatures": {jws}})
	return append(slices.Clip(files), file{signaturesFile, text}), err
}

// digest hashes a file as agents do: a structured one by its values with the
// names of objects in order, whatever its layout; any other by its bytes.
func digest(f file) ([]byte, error) {
	if base := path.Base(f.path); base != dataFile && base != manifestFile {
		sum := sha256.Sum256(f.text)
		return sum[:], nil
	}
	dec := json.NewDecoder(bytes.NewReader(f.text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := canonical(&b, enc, v); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b.Bytes())
	return sum[:], nil
}

func canonical(b *bytes.Buffer, enc *json.Encoder, v any) error {
	plain := func(v any) error {
		if err := enc.Encode(v); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // the line's end
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		b.WriteByte('{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := plain(name); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := canonical(b, enc, v[name]); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := canonical(b, enc, x); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	return plain(v)
}

// pack makes a tarball. The same files give the same bytes.
func pack(files []file, level int) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, f := range files {
		if err := t.WriteHeader(&tar.Header{Name: "/" + f.path, Mode: 0o444, Size: int64(len(f.text)), Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0), Format: tar.FormatPAX}); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.text); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// tagOf names files by their content.
func tagOf(prefix string, files []file, also ...string) string {
	h := sha256.New()
	part := func(b []byte) {
		size := len(b)
		h.Write([]byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)})
		h.Write(b)
	}
	for _, f := range files {
		part([]byte(f.path))
		part(f.text)
	}
	part([]byte(strings.Join(also, " ")))
	return prefix + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}
