package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/registration"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// maxMetadata bounds what a client says about itself, in bytes.
const maxMetadata = 64 << 10

// register makes a client of what it says about itself (RFC 7591, section 3).
func (s *Server) register(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	body, err := readMetadata(w, r)
	if err != nil {
		return err
	}
	token, err := bearer(r)
	if err != nil {
		return err
	}
	made, err := s.registrations.Register(r.Context(), from(r), rl, token, body)
	if err != nil {
		return s.refuseRegistration(r, rl, err)
	}
	web.Note(r.Context(), "client", made.ID)
	return writeRegistration(w, rl, made, http.StatusCreated)
}

// registered tells a client how it is registered (RFC 7592, section 2.1).
func (s *Server) registered(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	token, err := bearer(r)
	if err != nil {
		return err
	}
	found, err := s.registrations.Read(r.Context(), rl, r.PathValue("client_id"), token)
	if err != nil {
		return s.refuseRegistration(r, rl, err)
	}
	found.Token = token // RFC 7592, section 3: the one to go on with
	return writeRegistration(w, rl, found, http.StatusOK)
}

// reregister replaces what a client says about itself (RFC 7592, section 2.2).
func (s *Server) reregister(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	body, err := readMetadata(w, r)
	if err != nil {
		return err
	}
	token, err := bearer(r)
	if err != nil {
		return err
	}
	id := r.PathValue("client_id")
	changed, err := s.registrations.Update(r.Context(), self(r, id), rl, id, token, body)
	if err != nil {
		return s.refuseRegistration(r, rl, err)
	}
	return writeRegistration(w, rl, changed, http.StatusOK)
}

// deregister deletes a client (RFC 7592, section 2.3).
func (s *Server) deregister(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	token, err := bearer(r)
	if err != nil {
		return err
	}
	id := r.PathValue("client_id")
	if err := s.registrations.Delete(r.Context(), self(r, id), rl, id, token); err != nil {
		return s.refuseRegistration(r, rl, err)
	}
	noStore(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// self is a client that manages its own registration.
func self(r *http.Request, id string) audit.Actor {
	by := from(r)
	by.Kind, by.ID, by.Client = "client", id, id
	return by
}

func readMetadata(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxMetadata {
		return nil, fault.New(fault.TooLarge, "body_too_large", "the metadata are larger than 64 KiB")
	}
	var body json.RawMessage
	if err := web.ReadJSON(w, r, &body); err != nil {
		return nil, err
	}
	if len(body) > maxMetadata {
		return nil, fault.New(fault.TooLarge, "body_too_large", "the metadata are larger than 64 KiB")
	}
	return body, nil
}

// bearer is the token of the Authorization header, "" where there is none. A
// token of these endpoints comes in no other way.
func bearer(r *http.Request) (secret.Text, error) {
	lines := r.Header["Authorization"]
	if len(lines) == 0 {
		return "", nil
	}
	scheme, token, ok := strings.Cut(lines[0], " ")
	if len(lines) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") {
		return "", badRequest("show one token, as Bearer")
	}
	return secret.Text(strings.TrimLeft(token, " ")), nil
}

// refuseRegistration puts a refusal into the words of RFC 7591, section 3.2.2 and
// RFC 6750, section 3.1.
func (s *Server) refuseRegistration(r *http.Request, rl *realm.Realm, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	switch f.Kind {
	case fault.Unauthenticated:
		s.log.Activity(rl.Name, from(r), audit.Activity{Action: "registration.refuse", Reason: f.Code})
		return &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: f.Detail,
			Challenge: web.Challenge("Bearer", "realm", rl.Issuer, "error", "invalid_token")}
	case fault.Forbidden:
		return &Error{Status: http.StatusForbidden, Code: "access_denied", Description: f.Detail}
	case fault.Invalid:
		return refuse(f.Code, f.Detail)
	}
	return err
}

func writeRegistration(w http.ResponseWriter, rl *realm.Realm, g registration.Registration, status int) error {
	body, err := g.JSON(rl.Issuer + pathRegister + "/" + g.ID)
	if err != nil {
		return err
	}
	h := w.Header()
	noStore(h)
	h["Content-Type"] = contentJSON
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
