package signin

import (
	"encoding/json"
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/realm"
)

// relatedOrigins tells browsers which other origins may use the passkeys of this
// relying party (WebAuthn Level 3, section 5.11).
func (s *Server) relatedOrigins(w http.ResponseWriter, r *http.Request) error {
	re := realm.From(r.Context())
	rp, err := credential.RelyingPartyOf(re)
	if err != nil || len(re.Settings.RelatedOrigins()) == 0 {
		return fault.New(fault.NotFound, "no_related_origins", "no other origin uses the passkeys of this one")
	}
	return writeDocument(w, map[string]any{"origins": rp.Origins})
}

// wellKnownPasskeys tells password managers where passkeys are added and managed
// (W3C, A Well-Known URL for Relying Party Passkey Endpoints).
func (s *Server) wellKnownPasskeys(w http.ResponseWriter, r *http.Request) error {
	re := realm.From(r.Context())
	if offers, err := s.offersPasskey(r, nil); err != nil || !offers {
		return fault.New(fault.NotFound, "no_passkeys", "there are no passkeys here")
	}
	return writeDocument(w, map[string]string{"enroll": re.Issuer + pathNewPasskey, "manage": re.Issuer + s.PasskeysAt})
}

// writeDocument answers with public JSON.
func writeDocument(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Access-Control-Allow-Origin", "*")
	_, err = w.Write(body)
	return err
}
