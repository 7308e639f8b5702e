package oauth

import (
	"fmt"
	"net/http"

	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
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

// public writes a document that everybody may keep for a while. etag is shared by
// all answers.
func public(w http.ResponseWriter, r *http.Request, body []byte, etag, cacheControl []string) error {
	h := w.Header()
	h["Cache-Control"] = cacheControl
	h["Etag"] = etag
	if known := r.Header["If-None-Match"]; len(known) == 1 && known[0] == etag[0] {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h["Content-Type"] = contentJSON
	web.Sized(h, len(body))
	_, err := w.Write(body)
	return err
}
