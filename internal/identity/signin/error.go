package signin

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// errorPage says what went wrong and what to do.
type errorPage struct {
	*look.Page
	Heading, Advice string
	Code, Detail    string // for whoever helps
	Retry           bool   // loading the page again may do
}

// Fail writes an error as a page. It is for the routes of this door, and for
// those of others that people's browsers show.
func (s *Server) Fail(w http.ResponseWriter, r *http.Request, err error) {
	f, status := web.Explain(r.Context(), err)
	web.Retry(w.Header(), f)
	detail := f.Detail
	if own := s.Words.Match(); own.Has("error." + f.Code + ".title") {
		detail = "" // the page says it in better words
	}
	s.Error(w, r, status, f.Code, detail)
}

// FailAny writes an error as a page to those who want a page, and as problem
// details to everybody else. It is for addresses that belong to no door.
func (s *Server) FailAny(w http.ResponseWriter, r *http.Request, err error) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.Fail(w, r, err)
		return
	}
	web.Problem(w, r, err)
}

// Error shows a page about an error: what people can do by status, code and
// detail for whoever helps them.
func (s *Server) Error(w http.ResponseWriter, r *http.Request, status int, code, detail string) {
	web.FormTargets(w)
	p := errorPage{Page: s.page(w, r, nil, ""), Code: code, Detail: detail}
	key := "error." + code
	if !p.Has(key + ".title") {
		key = errorKey(status)
	}
	p.Heading, p.Advice, p.Title = p.T(key+".title"), p.T(key+".advice"), p.T(key+".title")
	p.Retry = r.Method == http.MethodGet && (status >= 500 || status == http.StatusTooManyRequests)
	if err := s.look.Render(w, status, "error", p); err != nil {
		http.Error(w, strconv.Itoa(status)+" "+http.StatusText(status), status)
	}
}

// errorKey names the words for a status.
func errorKey(status int) string {
	switch {
	case status == http.StatusNotFound:
		return "error.404"
	case status == http.StatusForbidden:
		return "error.403"
	case status == http.StatusTooManyRequests:
		return "error.429"
	case status == http.StatusServiceUnavailable:
		return "error.503"
	case status >= 500:
		return "error.500"
	}
	return "error.400"
}

// asFault finds the failure that a caller may be told about.
func asFault(err error) (*fault.Error, bool) {
	var f *fault.Error
	ok := errors.As(err, &f)
	return f, ok
}
