package web

import (
	"net/http"
)

// response is the writer that handlers see. It counts, and it asks for the
// lease once more before a yes leaves.
type response struct {
	http.ResponseWriter
	of      *exchange
	status  int
	bytes   int64
	guarded *Mux          // whose lease the answer depends on; nil: none
	request *http.Request // for the words of a refusal
	refused bool          // the answer was replaced; what the handler still writes is dropped
}

// guard makes an answer with a status below 400 depend on the lease at the
// moment at which it is about to be written.
func (w *response) guard(m *Mux, r *http.Request) { w.guarded, w.request = m, r }

// WriteHeader sends the status, or the refusal in its place.
func (w *response) WriteHeader(status int) {
	if w.refused || w.status != 0 {
		return
	}
	if status < 200 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.guarded != nil && status < 400 {
		if err := w.guarded.table.Live(); err != nil {
			w.replace(err)
			return
		}
	}
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// replace forgets everything that the handler prepared, cookies and Location
// included, and lets the door say why.
func (w *response) replace(err error) {
	kept := keepHeaders(w.Header())
	clear(w.Header())
	for k, v := range kept {
		w.Header()[k] = v
	}
	m := w.guarded
	w.guarded = nil
	m.fail(w, w.request, err)
	w.refused = true
}

// keepHeaders are those set before the handler ran.
func keepHeaders(h http.Header) map[string][]string {
	kept := make(map[string][]string, 8)
	for _, k := range [...]string{hNoSniff, hReferrer, hHSTS, hCSP, hCOOP, hCORP, hAllowOrigin, hVary} {
		if v, ok := h[k]; ok {
			kept[k] = v
		}
	}
	return kept
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 && !w.refused {
		w.WriteHeader(http.StatusOK)
	}
	if w.refused {
		return len(b), nil
	}
	var n int
	var err error
	if len(b) > longBody {
		n, err = w.together(b)
	} else {
		n, err = w.ResponseWriter.Write(b)
	}
	w.bytes += int64(n)
	return n, err
}

// FlushError sends what was written so far.
func (w *response) FlushError() error {
	if w.status == 0 && !w.refused {
		w.WriteHeader(http.StatusOK)
	}
	if w.refused {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection's deadlines.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
