package fill

import (
	"bytes"
	"html/template"
	"io"
	"reflect"
	"strconv"
	"strings"
	"text/template/parse"
)

// escaper is what html/template does to a value at one place.
type escaper struct {
	plain  *template.Template // writes its dot so
	table  *[256]string       // of the bytes that are replaced, nil where bytes are not all there is to it
	rooted bool               // the table is right for paths that begin with "/"
}

const escaperPrefix = "_html_template_"

// byByte are the escapers that replace bytes of a string, whatever is beside
// them.
var byByte = map[string]bool{"htmlescaper": true, "attrescaper": true, "rcdataescaper": true}

// pathEscapers are those of a link. They look at scheme and percent signs, of
// which a path may have none.
const pathEscapers = "urlfilter urlnormalizer attrescaper"

// escaper of a pipeline's last commands, which html/template added.
func (c *compiler) escaper(cmds []*parse.CommandNode) *escaper {
	var names []string
	for _, cmd := range cmds {
		names = append(names, strings.TrimPrefix(cmd.Args[0].(*parse.IdentifierNode).Ident, escaperPrefix))
	}
	key := strings.Join(names, " ")
	if e, ok := c.escapers[key]; ok {
		return e
	}
	e := &escaper{plain: dotWith(cmds), rooted: key == pathEscapers}
	if byByte[key] || e.rooted {
		e.learn()
	}
	c.escapers[key] = e
	return e
}

// dotWith is a template that writes its dot with these commands. html/template
// takes it for one that it has made safe.
func dotWith(cmds []*parse.CommandNode) *template.Template {
	t := template.Must(template.New("dot").Parse("{{.}}"))
	_ = t.Execute(io.Discard, "")
	pipe := t.Tree.Root.Nodes[0].(*parse.ActionNode).Pipe
	pipe.Cmds = append(pipe.Cmds[:1:1], cmds...)
	return t
}

// learn asks for each byte what becomes of it.
func (e *escaper) learn() {
	before := ""
	if e.rooted {
		before = "/"
	}
	e.table = new([256]string)
	for b := range e.table {
		var out bytes.Buffer
		e.slow(&out, before+string([]byte{byte(b)}))
		if s := strings.TrimPrefix(out.String(), before); s != string([]byte{byte(b)}) {
			e.table[b] = s
		}
	}
}

// slow has html/template write a value.
func (e *escaper) slow(out *bytes.Buffer, v any) {
	if err := e.plain.Execute(out, v); err != nil {
		panic(failure{err})
	}
}

// text writes a string.
func (e *escaper) text(out *bytes.Buffer, s string) {
	if e.table == nil || e.rooted && (s == "" || s[0] != '/' || strings.IndexByte(s, '%') >= 0) {
		e.slow(out, s)
		return
	}
	from := 0
	for i := range len(s) {
		if r := e.table[s[i]]; r != "" {
			out.WriteString(s[from:i])
			out.WriteString(r)
			from = i + 1
		}
	}
	out.WriteString(s[from:])
}

// string is a string as it is written.
func (e *escaper) string(s string) string {
	var out bytes.Buffer
	e.text(&out, s)
	return out.String()
}

// write makes the step that writes a value.
func (e *escaper) write(v *value) step {
	switch {
	case v.typ == nil:
		cannot("writing nothing")
	case isText(v.typ):
		text := v.str()
		return func(f *frame, dot reflect.Value) { e.text(f.out, text(f, dot)) }
	case v.typ == reflect.TypeFor[int]() && e.table != nil && !e.rooted:
		return func(f *frame, dot reflect.Value) {
			f.out.Write(strconv.AppendInt(f.out.AvailableBuffer(), v.get(f, dot).Int(), 10))
		}
	}
	return func(f *frame, dot reflect.Value) { e.slow(f.out, v.get(f, dot).Interface()) }
}

// isText reports whether html/template sees nothing but a string in a type:
// neither one that is safe somewhere nor one that has its own idea of how it
// reads.
func isText(t reflect.Type) bool {
	return t.Kind() == reflect.String && t.PkgPath() != reflect.TypeFor[template.HTML]().PkgPath() && reflect.PointerTo(t).NumMethod() == 0
}
