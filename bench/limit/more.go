package main

import (
	"crypto/ecdsa"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// more are works beyond OpenID Connect's: bound sign-ins, decisions, passkeys.
func (l *limit) more(body func(name string) []byte) {
	decision, decisions := body("decision.json"), body("decisions.json")
	http.HandleFunc("POST /push", l.logged(func(w http.ResponseWriter, r *http.Request) {
		answer(w, tokenAnswer("", l.store("urn:"), ""))
	}))
	http.HandleFunc("POST /bound", l.logged(func(w http.ResponseWriter, r *http.Request) {
		once := l.store(strconv.FormatBool(ecdsa.VerifyASN1(&l.key.PublicKey, l.digest[:], l.proof)))
		answer(w, tokenAnswer(l.sign(), l.store("cdr_")+once, l.sign()))
	}))
	http.HandleFunc("POST /decide", l.logged(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var q question
		if json.Unmarshal(text, &q) != nil || q.Subject.ID == "" || q.Action.Name == "" || q.Resource.ID == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer(w, decision)
	}))
	http.HandleFunc("POST /decide-many", l.logged(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var q struct {
			question
			Evaluations []question
		}
		if json.Unmarshal(text, &q) != nil || q.Subject.ID == "" || q.Action.Name == "" || len(q.Evaluations) == 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer(w, decisions)
	}))
	http.HandleFunc("POST /passkey", l.logged(l.passkey))
}

// question is what is asked of a decision service.
type question struct {
	Subject, Resource struct {
		Type, ID   string
		Properties map[string]any
	}
	Action struct {
		Name       string
		Properties map[string]any
	}
	Context map[string]any
}
