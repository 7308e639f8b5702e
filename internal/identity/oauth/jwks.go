package oauth

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/realm"
)

var keysCacheControl = []string{fmt.Sprintf("public, max-age=%d", int(keyring.JWKSMaxAge.Seconds()))}

// jwks publishes the keys that verify what the realm signs (RFC 7517, section
// 5), from memory.
func (s *Server) jwks(w http.ResponseWriter, r *http.Request) error {
	body, etag, err := s.ring.JWKS(r.Context(), realm.From(r.Context()).Name)
	if err != nil {
		return err
	}
	return public(w, r, body, etag, keysCacheControl)
}

// public writes a document that everybody may keep for a while.
func public(w http.ResponseWriter, r *http.Request, body []byte, etag string, cacheControl []string) error {
	h := w.Header()
	h["Cache-Control"] = cacheControl
	values := [...]string{etag, strconv.Itoa(len(body))}
	h["Etag"] = values[0:1:1]
	if known := r.Header["If-None-Match"]; len(known) == 1 && known[0] == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h["Content-Type"] = contentJSON
	// Without a length, a body of this size would go out in chunks.
	h["Content-Length"] = values[1:2:2]
	_, err := w.Write(body)
	return err
}
