package oauth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/identity/client"
)

// sessionState is what a client asks the check_session_iframe about later: a
// salted hash of client, origin and browser state (OpenID Connect Session
// Management 1.0, sections 2 and 3.2). "" where no page of the client could ask:
// for requests without scope openid, and for programs of a device.
func (s *Server) sessionState(w http.ResponseWriter, r *http.Request, a *authorization) (string, error) {
	origin := client.Origin(a.redirectURI)
	if origin == "" || !slices.Contains(a.scopes, client.ScopeOpenID) {
		return "", nil
	}
	state, err := s.pages.BrowserState(w, r)
	if err != nil {
		return "", err
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	return saltedState(a.client.ID, origin, state, base64.RawURLEncoding.EncodeToString(salt)), nil
}

func saltedState(clientID, origin, state, salt string) string {
	sum := sha256.Sum256([]byte(clientID + " " + origin + " " + state + " " + salt))
	return base64.RawURLEncoding.EncodeToString(sum[:]) + "." + salt
}
