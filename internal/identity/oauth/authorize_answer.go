package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/web"
)

// answer sends fields to the client's redirect URI in the mode it asked for,
// together with its state and our name (RFC 9207), so that a client that talks
// to several issuers knows who answered. A signed answer says both inside. The redirect is always a 303: the
// browser goes there with GET and takes no form along (AZ-08). After forms of
// our pages a page leads there instead, see [signin.Server.Onward].
func (s *Server) answer(w http.ResponseWriter, r *http.Request, a *authorization, fields ...[2]string) error {
	if a.state != "" {
		fields = append(fields, [2]string{"state", a.state})
	}
	mode, signed := a.answerMode()
	if signed {
		text, err := s.signAnswer(r.Context(), a, fields)
		if err != nil {
			return err
		}
		fields = [][2]string{{"response", text}}
	} else {
		fields = append(fields, [2]string{"iss", a.realm.Issuer})
	}
	noStore(w.Header())
	if mode == "form_post" {
		return s.pages.FormPost(w, r, a.redirectURI, fields)
	}
	target := withFields(a.redirectURI, mode, fields)
	if a.byForm {
		return s.pages.Onward(w, r, target, a.params.Get("ui_locales"))
	}
	web.See(w, target)
	return nil
}

// answerMode is how the answer travels, and whether it is signed. What is wrong
// with a request before its mode was read is signed for those who take nothing
// else.
func (a *authorization) answerMode() (mode string, signed bool) {
	mode, signed = strings.CutSuffix(a.mode, "."+signedMode)
	return mode, signed || a.signsAnswer()
}

// answerLife is how long a signed answer may be taken: the most that JARM,
// section 2.1 advises.
const answerLife = 10 * time.Minute

// answerType keeps signed answers from passing for ID tokens, which have the
// same issuer and audience.
const answerType = "oauth-authz-resp+jwt"

// signAnswer makes an answer a token for the client alone (JARM, section 2.1).
func (s *Server) signAnswer(ctx context.Context, a *authorization, fields [][2]string) (string, error) {
	key, err := s.ring.Signer(ctx, a.realm.Name, a.client.AuthorizationAlgorithm())
	if err != nil {
		return "", err
	}
	b := appendString(append(make([]byte, 0, 512), `{"iss":`...), a.realm.Issuer)
	b = member(b, "aud", a.client.ID)
	b = number(b, "exp", s.now().Add(answerLife))
	for _, f := range fields {
		b = member(b, f[0], f[1])
	}
	return jose.Sign(key, answerType, append(b, '}'))
}

// withFields appends fields to a redirect URI as query or fragment. A query
// that the URI has already is kept (RFC 6749, section 3.1.2).
func withFields(uri, mode string, fields [][2]string) string {
	var b strings.Builder
	b.Grow(len(uri) + 256)
	b.WriteString(uri)
	separator := byte('?')
	switch {
	case mode == "fragment":
		separator = '#'
	case strings.HasSuffix(uri, "?"), strings.HasSuffix(uri, "&"):
		separator = 0
	case strings.Contains(uri, "?"):
		separator = '&'
	}
	for _, f := range fields {
		if separator != 0 {
			b.WriteByte(separator)
		}
		b.WriteString(f[0])
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(f[1]))
		separator = '&'
	}
	return b.String()
}

// answerError tells the client what is wrong with its request. A pushed one
// ends with that.
func (s *Server) answerError(w http.ResponseWriter, r *http.Request, a *authorization, e *Error) error {
	if a.pushed != nil {
		if err := s.db.UpdateRC(r.Context(), a.realm.Name, func(tx *db.Tx) error { return s.spendPushed(tx, a) }); err != nil {
			return err
		}
	}
	fields := make([][2]string, 0, 4)
	fields = append(fields, [2]string{"error", e.Code})
	if e.Description != "" {
		fields = append(fields, [2]string{"error_description", e.Description})
	}
	return s.answer(w, r, a, fields...)
}

// pageError is a problem that is shown on a page of ours, since there is no
// address that may be trusted with it.
type pageError struct{ code string }

func (e *pageError) Error() string { return e.code }
