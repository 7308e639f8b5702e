package detail

import (
	"errors"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaURL names a schema while it is compiled. Nothing is ever there.
const schemaURL = "urn:cardea:authorization-detail-type"

// compile reads a JSON Schema, draft 2020-12 unless it says otherwise. A schema
// refers to itself only: nothing is fetched.
func compile(text string) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, errors.New("is not JSON")
	}
	if _, object := doc.(map[string]any); !object {
		return nil, errors.New("is not a JSON object")
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nothing{})
	c.AssertFormat() // whoever writes "format" means it
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, errors.New("cannot be read as a JSON Schema")
	}
	schema, err := c.Compile(schemaURL)
	if err != nil {
		return nil, errors.New("is not a JSON Schema that stands alone")
	}
	return schema, nil
}

// nothing is a loader that refuses every address.
type nothing struct{}

func (nothing) Load(string) (any, error) { return nil, errors.New("schemas refer to nothing outside") }

// misfit is where a detail does not fit its schema: the deepest place, as a
// path. ok is false if it fits.
func misfit(schema *jsonschema.Schema, value any) (path []string, ok bool) {
	err := schema.Validate(value)
	if err == nil {
		return nil, false
	}
	var v *jsonschema.ValidationError
	if !errors.As(err, &v) {
		return nil, true
	}
	for len(v.Causes) > 0 {
		v = v.Causes[0]
	}
	return v.InstanceLocation, true
}
