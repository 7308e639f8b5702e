package oauth

import (
	"errors"
	"net/http"

	"github.com/cardea-id/cardea/internal/web"
)

// failPage writes an error of the endpoints that browsers navigate to, as a
// page of ours. It never leads anywhere (AZ-03).
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	var shown *pageError
	if errors.As(err, &shown) {
		web.Note(r.Context(), "code", shown.code)
		s.pages.Error(w, r, http.StatusBadRequest, shown.code, "")
		return
	}
	e, f := explain(r, err)
	if f != nil {
		web.Retry(w.Header(), f)
		s.pages.Error(w, r, e.Status, f.Code, f.Detail)
		return
	}
	s.pages.Error(w, r, e.Status, e.Code, e.Description)
}
