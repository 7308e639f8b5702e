package authzen

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Page tokens are sealed: they say behind which result to go on, and open only
// for the caller, the realm and the question that they were made for. Any node
// opens them, as long as its key lives.

// place is what a page token is bound to. An access token in the question is not
// part of it, since a fresh one may take its place; whom it is about is.
func (q *request) place(open sought, p *policy.Question) ([]string, error) {
	text, err := json.Marshal([]any{p.Subject, p.Resource, p.Action, p.SubjectProperties, p.ActionProperties, p.ResourceProperties, p.Context})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text) // maps are encoded with their keys in order
	return []string{"access-page", q.realm.Issuer, q.caller.key(), strconv.Itoa(int(open)), string(sum[:])}, nil
}

// cursor is what a page token says.
type cursor struct {
	After string `json:"a"`
	Limit int    `json:"l"`
}

func (s *Server) seal(c cursor, place []string) (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.o.Pages.Seal(text, place...)), nil
}

func (s *Server) unseal(token string, place []string) (c cursor, err error) {
	bad := invalid("page.token is not of this question, caller and realm; ask again without one")
	if len(token) > 4<<10 {
		return c, bad
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return c, bad
	}
	text, err := s.o.Pages.Open(sealed, place...)
	if err != nil || json.Unmarshal(text, &c) != nil {
		return cursor{}, bad
	}
	return c, nil
}
