package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// Assets are files that never change under their name: the name holds their
// hash, so that browsers keep them for a year.
type Assets struct {
	prefix string
	urls   map[string]string
	files  map[string]*asset
}

type asset struct {
	kind  string
	plain encoded // no body where the file came zipped
	gzip  encoded // no body when it would not be shorter
}

type encoded struct {
	body []byte
	etag string
}

var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
	".woff2": "font/woff2", ".ico": "image/x-icon", ".webmanifest": "application/manifest+json",
}

// NewAssets takes all files of the given trees, to be served below prefix
// ("/assets/"). Files of unknown type and names that occur twice are refused. A
// large file may lie zipped in its tree, as name.gz: it is kept so, and unzipped
// for the rare browser that does not understand it.
func NewAssets(prefix string, trees ...fs.FS) (*Assets, error) {
	a := &Assets{prefix: prefix, urls: map[string]string{}, files: map[string]*asset{}}
	for _, tree := range trees {
		err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := fs.ReadFile(tree, name)
			if err != nil {
				return err
			}
			return a.add(name, body)
		})
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *Assets) add(name string, body []byte) error {
	name, zipped := strings.CutSuffix(name, ".gz")
	ext := path.Ext(name)
	kind, known := assetTypes[ext]
	if !known {
		return fmt.Errorf("asset %s has a type that is not served", name)
	}
	if _, taken := a.urls[name]; taken {
		return fmt.Errorf("asset %s exists twice", name)
	}
	sum := sha256.Sum256(body)
	mark := hex.EncodeToString(sum[:6])
	file := &asset{kind: kind, plain: encoded{etag: `"` + mark + `"`}}
	short := encoded{etag: `"` + mark + `-gzip"`}
	if zipped {
		if _, err := gzip.NewReader(bytes.NewReader(body)); err != nil {
			return fmt.Errorf("asset %s.gz: %w", name, err)
		}
		short.body = body
		file.gzip = short
	} else {
		file.plain.body = body
		short.body = compress(body)
		if ext != ".png" && ext != ".woff2" && len(short.body) < len(body)*9/10 {
			file.gzip = short
		}
	}
	marked := strings.TrimSuffix(name, ext) + "." + mark + ext
	a.urls[name] = a.prefix + marked
	a.files[marked] = file
	return nil
}

func compress(b []byte) []byte {
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	_, _ = z.Write(b) // a bytes.Buffer takes everything
	_ = z.Close()
	return buf.Bytes()
}

func unzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// URL is where the named file is. It panics when there is none: names are
// written in templates, which tests render.
func (a *Assets) URL(name string) string {
	u, ok := a.urls[name]
	if !ok {
		panic("web: there is no asset " + name)
	}
	return u
}

// Mount serves the files.
func (a *Assets) Mount(m *Mux) {
	m.Handle("GET "+a.prefix+"{file...}", a.serve, LeaseOff)
}

func (a *Assets) serve(w http.ResponseWriter, r *http.Request) error {
	file, ok := a.files[r.PathValue("file")]
	if !ok {
		return notFound()
	}
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set(hCORP, "same-origin")
	form := file.plain
	if file.gzip.body != nil {
		h.Set(hVary, "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			form = file.gzip
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", form.etag)
	if strings.Contains(r.Header.Get("If-None-Match"), form.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body := form.body
	if body == nil {
		var err error
		if body, err = unzip(file.gzip.body); err != nil {
			return err
		}
	}
	Sized(h, len(body))
	_, err := w.Write(body)
	return err
}

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3) as far as gzip
// is concerned.
func acceptsGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.000") && q != "q=0.0" && q != "q=0.00"
		}
	}
	return false
}
