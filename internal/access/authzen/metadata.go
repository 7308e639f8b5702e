package authzen

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// typeMetadata is the type of signed metadata, so that they pass for no other
// token.
const typeMetadata = "authzen-configuration+jwt"

// document is what a realm says of its decision point, encoded and signed once.
type document struct {
	body    []byte
	etag    string
	version int64 // of the realm
	key     string
}

// metadata is what the decision point says of itself (AuthZEN 1.0, section 9.1).
type metadata struct {
	Point     string `json:"policy_decision_point"`
	One       string `json:"access_evaluation_endpoint"`
	Many      string `json:"access_evaluations_endpoint"`
	Subjects  string `json:"search_subject_endpoint"`
	Resources string `json:"search_resource_endpoint"`
	Actions   string `json:"search_action_endpoint"`
	Signed    string `json:"signed_metadata,omitempty"`
}

// metadata serves them to everybody.
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	key, err := s.o.Signer(r.Context(), rl.Name)
	if err != nil {
		key = nil // the rest is as true as it is
	}
	d, err := s.document(rl, key)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", d.etag)
	if r.Header.Get("If-None-Match") == d.etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	web.Body(w, http.StatusOK, d.body)
	return nil
}

func (s *Server) document(rl *realm.Realm, key *jose.Key) (*document, error) {
	kid := ""
	if key != nil {
		kid = key.ID
	}
	if d, known := s.documents.Peek(rl.Name, rl.Issuer); known && d.version == rl.Version && d.key == kid {
		return d, nil
	}
	s.documents.Drop(rl.Name, rl.Issuer)
	return s.documents.Get(rl.Name, rl.Issuer, func() (*document, error) {
		m := metadata{Point: rl.Issuer, One: rl.Issuer + pathOne, Many: rl.Issuer + pathMany, Subjects: rl.Issuer + pathSubjects,
			Resources: rl.Issuer + pathResources, Actions: rl.Issuer + pathActions}
		if key != nil {
			claims, err := json.Marshal(struct {
				Issuer string `json:"iss"`
				At     int64  `json:"iat"`
				metadata
			}{rl.Issuer, s.o.Now().Unix(), m})
			if err != nil {
				return nil, err
			}
			if m.Signed, err = jose.Sign(key, typeMetadata, claims); err != nil {
				return nil, err
			}
		}
		text, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		return &document{text, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, rl.Version, kid}, nil
	})
}
