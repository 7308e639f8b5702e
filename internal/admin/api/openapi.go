package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	wire "github.com/cardea-id/cardea/api"
)

// deletedTwice is what every DELETE promises (RFC 9110, section 9.2.2).
const deletedTwice = "It can be sent again, after an answer was lost: what is gone already is gone, which is answered once every node knows, and leaves no second event. What the realm never had, or no longer remembers, is not found."

// describe turns a declaration into huma's, documents included.
func (s *Server) describe(o Operation) huma.Operation {
	resource, _, _ := strings.Cut(strings.TrimPrefix(o.Path, "/"), "/")
	problems := s.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[wire.Problem](), true, "Problem")
	h := huma.Operation{
		OperationID: o.ID, Method: o.Method, Path: o.Path, Summary: o.Summary, Tags: []string{resource}, DefaultStatus: o.Status,
		MaxBodyBytes: maxBody,
		Responses: map[string]*huma.Response{"default": {Description: "The request was refused.",
			Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problems}}}},
		Extensions: map[string]any{"x-permission": string(o.Permission), "x-rate-class": string(o.Class)},
	}
	if o.Method == remove {
		h.Description = deletedTwice
	}
	if o.Event != NoEvent {
		h.Extensions["x-event"] = o.Event
	}
	return h
}

// OpenAPI is the document of this API, as JSON that changes only when the API
// does.
func (s *Server) OpenAPI() ([]byte, error) {
	doc := s.huma.OpenAPI()
	schemas := doc.Components.Schemas.Map()
	for _, unused := range []string{"ErrorModel", "ErrorDetail"} { // huma's own; ours is Problem
		delete(schemas, unused)
	}
	return indented(doc)
}

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
