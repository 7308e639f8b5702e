package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/realm"
)

// deletedTwice is what every DELETE promises (RFC 9110, section 9.2.2).
const deletedTwice = "It can be sent again, after an answer was lost: what is gone already is gone, which is answered once every node knows, and leaves no second event. What the realm never had, or no longer remembers, is not found."

// describe documents every operation, and readies each to be asked. Most
// programs that start are never asked one.
func (s *Server) describe() *huma.OpenAPI {
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Cardea admin API", Version: "1",
			Description: "Everything the command line and the console do. Send an access token of the realm whose audience is the issuer followed by " + wire.Path + " and whose scope includes " + wire.Scope + "."},
		Servers:    []*huma.Server{{URL: wire.Path, Description: "below the issuer of a realm"}},
		Components: &huma.Components{Schemas: schemas, SecuritySchemes: map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "at+jwt", Description: "RFC 6750, scope " + wire.Scope}}},
		Security:   []map[string][]string{{"bearer": {}}},
	}
	problems := schemas.Schema(reflect.TypeFor[wire.Problem](), true, "Problem")
	for _, m := range s.operations {
		o := m.describe(problems)
		m.contract = agree(m.in, m.out, o, schemas)
		doc.AddOperation(o)
	}
	for _, f := range realm.Fields() {
		schemas.Map()["RealmSettings"].Properties[f.Name].Description = f.Help
	}
	for name, schema := range schemas.Map() {
		for field, of := range schema.Properties {
			if of.Default != nil {
				panic(name + "." + field + " has a default, which is documented but filled in for parameters only")
			}
		}
	}
	return doc
}

// describe is what a declaration says of itself, without its types.
func (o Operation) describe(problems *huma.Schema) *huma.Operation {
	resource, _, _ := strings.Cut(strings.TrimPrefix(o.Path, "/"), "/")
	h := &huma.Operation{
		OperationID: o.ID, Method: o.Method, Path: o.Path, Summary: o.Summary, Tags: []string{resource}, DefaultStatus: o.Status,
		Responses: map[string]*huma.Response{"default": {Description: "The request was refused.",
			Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problems}}}},
		Extensions: map[string]any{"x-permission": string(o.Permission), "x-rate-class": string(o.Class)},
	}
	if o.Dangerous() {
		h.Extensions["x-dangerous"] = true
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
func (s *Server) OpenAPI() ([]byte, error) { return indented(s.document()) }

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
