package web

import (
	"encoding/json"
	"net/http"
	"strconv"
)

var jsonType = []string{"application/json"}
var noStore = []string{"no-store"}

// JSON answers with v, not to be stored unless the handler said otherwise.
func JSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	Body(w, status, body)
	return nil
}

// Body answers with JSON that was encoded before.
func Body(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	if h["Content-Type"] == nil {
		h["Content-Type"] = jsonType
	}
	if h["Cache-Control"] == nil {
		h["Cache-Control"] = noStore
	}
	Sized(h, len(body))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// Sized says how long a body is, where net/http would send it in chunks
// because it is longer than its buffer.
func Sized(h http.Header, n int) {
	if n > 2048 {
		h["Content-Length"] = []string{strconv.Itoa(n)}
	}
}

// See answers 303: look there, with GET. After a POST nothing else is right,
// since 307 and 308 would carry the form, password and all, to the target.
func See(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	if w.Header()["Cache-Control"] == nil {
		w.Header()["Cache-Control"] = noStore
	}
	w.WriteHeader(http.StatusSeeOther)
}
