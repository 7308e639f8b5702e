package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/queryparam"

	"github.com/cardea-id/cardea/internal/web"
)

// contract is what an operation takes and gives, as its types and their tags
// say: what is documented is what is demanded. huma makes the schemas and judges
// values by them; its Register is a function for each pair of types, which were
// a twentieth of the whole program.
type contract struct {
	schemas huma.Registry
	params  []param
	queries map[string]bool
	body    *body
	headers []header
	content int // the index of what is answered, or -1
	status  int
}

// param is one value of the path, the query or a header.
type param struct {
	index    []int
	in, name string
	required bool
	fallback string
	schema   *huma.Schema
}

type body struct {
	index  []int
	schema *huma.Schema
}

// header is a text that is answered beside the body.
type header struct {
	index int
	name  string
}

// agree reads a contract off the types of an operation and documents it in o.
func agree(in, out reflect.Type, o *huma.Operation, schemas huma.Registry) contract {
	c := contract{schemas: schemas, queries: map[string]bool{}, content: -1}
	for _, f := range reflect.VisibleFields(in) {
		switch {
		case f.Anonymous || !f.IsExported():
		case f.Name == "Body":
			c.body = &body{f.Index, huma.SchemaFromField(schemas, f, in.Name()+f.Name)}
			c.body.schema.PrecomputeMessages()
			o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: c.body.schema}}}
		default:
			c.take(f, o)
		}
	}
	var given *huma.MediaType
	headers := map[string]*huma.Param{}
	for i := range out.NumField() {
		f := out.Field(i)
		if f.Name == "Body" {
			c.content = i
			given = &huma.MediaType{Schema: huma.SchemaFromField(schemas, f, out.Name()+f.Name)}
			continue
		}
		h := header{i, f.Tag.Get("header")}
		if h.name == "" || f.Type.Kind() != reflect.String {
			panic(out.String() + "." + f.Name + " is neither a body nor a header")
		}
		c.headers = append(c.headers, h)
		headers[h.name] = &huma.Header{Schema: huma.SchemaFromField(schemas, f, out.Name()+f.Name)}
	}
	switch {
	case o.DefaultStatus != 0:
	case given != nil:
		o.DefaultStatus = http.StatusOK
	default:
		o.DefaultStatus = http.StatusNoContent
	}
	c.status = o.DefaultStatus
	answer := &huma.Response{Description: http.StatusText(c.status), Headers: headers}
	if given != nil {
		answer.Content = map[string]*huma.MediaType{"application/json": given}
	}
	o.Responses[strconv.Itoa(c.status)] = answer
	return c
}

// take adds a field of an input to what is read of a request.
func (c *contract) take(f reflect.StructField, o *huma.Operation) {
	p := param{index: f.Index, fallback: f.Tag.Get("default")}
	var explode *bool
	for _, in := range []string{"path", "query", "header"} {
		if name := f.Tag.Get(in); name != "" {
			p.in, p.name = in, name
		}
	}
	switch p.in {
	case "path":
		p.required = true
	case "query":
		explode = new(bool)
		c.queries[p.name] = true
	case "":
		panic("field " + f.Name + " of operation " + o.OperationID + " is read from nowhere")
	}
	switch f.Type.Kind() {
	case reflect.String, reflect.Int, reflect.Bool:
	default:
		if f.Type != timeType {
			panic("field " + f.Name + " of operation " + o.OperationID + " has a type that no parameter has")
		}
	}
	p.schema = huma.SchemaFromField(c.schemas, f, "")
	c.params = append(c.params, p)
	o.Parameters = append(o.Parameters, &huma.Param{Name: p.name, Description: p.schema.Description, In: p.in, Explode: explode, Required: p.required, Schema: p.schema})
}

var timeType = reflect.TypeFor[time.Time]()

// read fills in with what a request says, and judges all of it. Its body has
// been read already.
func (c *contract) read(r *http.Request, body []byte, in reflect.Value) error {
	at, found := huma.NewPathBuffer(nil, 0), &huma.ValidateResult{}
	for key := range r.URL.Query() {
		if !c.queries[key] {
			at.Reset()
			at.Push("query")
			at.Push(key)
			found.Add(at, "", "unknown query parameter")
		}
	}
	if len(found.Errors) > 0 {
		return refusal(found)
	}
	for _, p := range c.params {
		at.Reset()
		at.Push(p.in)
		at.Push(p.name)
		text := p.text(r)
		if text == "" {
			if p.required {
				found.Add(at, "", "required "+p.in+" parameter is missing")
			}
			continue
		}
		v, wrong := parsed(text, in.FieldByIndex(p.index))
		if wrong != "" {
			found.Add(at, text, wrong)
			continue
		}
		huma.Validate(c.schemas, p.schema, at, huma.ModeWriteToServer, v, found)
	}
	if c.body != nil {
		at.Reset()
		at.Push("body")
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			return err // strictly has read it
		}
		huma.Validate(c.schemas, c.body.schema, at, huma.ModeWriteToServer, v, found)
	}
	if len(found.Errors) > 0 {
		return refusal(found)
	}
	return nil
}

func (p *param) text(r *http.Request) string {
	var text string
	switch p.in {
	case "path":
		text = r.PathValue(p.name)
	case "query":
		text = queryparam.Get(r.URL.RawQuery, p.name)
	case "header":
		text = r.Header.Get(p.name)
	}
	if text == "" {
		return p.fallback
	}
	return text
}

// parsed sets a field to what text says and gives what its schema judges, or
// says what is wrong.
func parsed(text string, field reflect.Value) (v any, wrong string) {
	switch field.Kind() {
	case reflect.String:
		field.SetString(text)
		return text, ""
	case reflect.Int:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, "invalid integer"
		}
		field.SetInt(n)
		return n, ""
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, "invalid boolean"
		}
		field.SetBool(b)
		return b, ""
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, "want a time such as 2026-01-31T08:00:00Z"
	}
	field.Set(reflect.ValueOf(t))
	return text, ""
}

// write answers with what a handler gave, which may be nothing.
func (c *contract) write(w http.ResponseWriter, answer any) error {
	out := reflect.ValueOf(answer)
	if out.IsNil() || c.content < 0 && len(c.headers) == 0 {
		w.WriteHeader(c.status)
		return nil
	}
	out = out.Elem()
	var body bytes.Buffer
	if c.content >= 0 {
		enc := json.NewEncoder(&body)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(out.Field(c.content).Interface()); err != nil {
			return err
		}
	}
	for _, h := range c.headers {
		if text := out.Field(h.index).String(); text != "" {
			w.Header().Set(h.name, text)
		}
	}
	if c.content < 0 {
		w.WriteHeader(c.status)
		return nil
	}
	web.Body(w, c.status, body.Bytes())
	return nil
}
