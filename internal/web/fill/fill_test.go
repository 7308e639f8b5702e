package fill_test

import (
	"bytes"
	"errors"
	"html/template"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/web/fill"
)

// every byte, and what is more than its bytes.
var hostile = func() string {
	var all []byte
	for b := range 256 {
		all = append(all, byte(b))
	}
	return string(all) + `</script></title><!-- %2f %zz javascript:alert(1) ` + "\u2028\ufdd0🙂"
}()

type (
	kind  string // nothing but a string
	loud  string // has its own idea of how it reads
	inner struct {
		Name string
		Next *inner
	}
	Shared struct{ Deep string }
	data   struct {
		*i18n.Locale
		*Shared
		Text, Path, Colon, Percent, Empty string
		Kind                              kind
		Loud                              loud
		HTML                              template.HTML
		URL                               template.URL
		N, Zero                           int
		Long                              int64
		Yes, No                           bool
		List                              []inner
		Pairs                             [2]string
		None                              []string
		Map                               map[string]string
		One, Nil                          *inner
		Any                               any
		At                                time.Time
		Age                               time.Duration
	}
)

func (l loud) String() string       { return "<" + strings.ToUpper(string(l)) + ">" }
func (d data) Speaks() *i18n.Locale { return d.Locale }
func (d data) Twice(s string, n int, more ...string) string {
	return strings.Repeat(s, n) + strings.Join(more, "+")
}
func (d data) Fails() (string, error) { return "", errors.New("it failed") }
func (d data) Panics() string         { panic("it panicked") }
func (d data) Link(path string, params ...string) string {
	return path + "?" + strings.Join(params, "&")
}
func (d data) Asset(name string) string { return "/assets/" + name }
func (d data) Made() inner              { return inner{Name: "made"} }
func (i *inner) Pointed() string        { return "at " + i.Name }
func (i inner) Plain() string           { return "of " + i.Name }
func (d *data) Unreachable() string     { return "only by its address" }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func words(t *testing.T) []*i18n.Locale {
	t.Helper()
	c, err := i18n.Load()
	must(t, err)
	return c.Locales()
}

func page(t *testing.T, in []*i18n.Locale, text string) *fill.Template {
	t.Helper()
	text, parts, more := strings.Cut(text, "{{define")
	if more {
		parts = "{{define" + parts
	}
	set, err := template.New("").Option("missingkey=error").Parse(`{{define "page"}}` + text + `{{end}}` + parts)
	must(t, err)
	p, err := fill.New(set, "page", in)
	must(t, err)
	return p
}

func some(l *i18n.Locale) data {
	return data{Locale: l, Shared: &Shared{hostile}, Text: hostile, Path: "/a?x=1&y=+\"'<>\x00\xff\u00e4 z", Colon: "javascript:alert(1)", Percent: "/%41%zz%", Kind: kind(hostile), Loud: "loud",
		HTML: "<b title='x'>bold</b>", URL: "javascript:fine()", N: -42, Long: 7, Yes: true, List: []inner{{Name: "<1>"}, {Name: "2", Next: &inner{Name: "&"}}}, Pairs: [2]string{"a'", "b"},
		Map: map[string]string{"k": "<v>"}, One: &inner{Name: "one"}, Any: hostile, At: time.Unix(0, 0).UTC(), Age: time.Minute}
}

// Wherever a value stands and however it is come by, what is written is what
// html/template writes.
func TestWhatIsWrittenIsWhatHTMLTemplateWrites(t *testing.T) {
	in := words(t)
	for _, text := range []string{
		`<p title="{{.Text}}" class='{{.Text}}' data-x="{{.Text}}">{{.Text}}</p><title>{{.Text}}</title><textarea>{{.Text}}</textarea>`,
		`<a href="{{.Path}}">{{.Path}}</a><a href="{{.Text}}"></a><a href='{{.Colon}}'></a><a href="{{.Percent}}"></a><a href="{{.Empty}}"></a><a href="/x?{{.Text}}&amp;y={{.Path}}"></a>`,
		`<script>var x = {{.Text}}, y = "{{.Text}}"; f({{.N}})</script><p onclick="f({{.Text}})" style="color: {{.Text}}"></p><style>p { color: {{.Text}} }</style><img srcset="{{.Text}}">`,
		`<p title={{.Text}} data-y={{.Path}}>{{.HTML}}</p><p title="{{.HTML}}"></p><a href="{{.URL}}">{{.URL}}</a><title>{{.HTML}}</title>`,
		`{{.Kind}} {{.Loud}} {{.N}} {{.Long}} {{.Yes}} {{.At}} {{.Age}} {{.Age.Seconds}} {{.Any}} {{.List}} {{.Pairs}} <a href="{{.N}}" title="{{.N}}" data-k="{{.Kind}}"></a>`,
		`{{.T "signin.title"}}<p title="{{$.T "signin.title"}}">{{.T "overview.devices" "n" 1}} {{.T "home.welcome" "realm" .Text}} {{.T .Empty}} {{.T "there is none <x>"}}<script>f({{.T "signin.title"}})</script>`,
		`<a href="{{.Link "/x" "a" .Text "b" .Path}}">{{.Link "/y"}}</a><img src="{{.Asset "z.svg"}}">{{.Twice "x" 3}} {{.Twice .Text 1 "a" .Path}} {{.Made.Name}} {{.Made.Plain}}`,
		`{{with .One}}{{.Name}} {{.Pointed}} {{.Plain}} {{$.Text}}{{else}}none{{end}}{{with .Nil}}{{.Name}}{{else}}{{.Text}}{{end}}{{with $x := .One}}{{$x.Name}}{{end}}{{with .Text}}{{.}}{{end}}`,
		`{{range .List}}{{.Name}} {{.Pointed}} {{.Plain}} {{with .Next}}{{.Name}}{{end}}{{end}}{{range $i, $x := .List}}{{if $i}}, {{end}}{{$i}}{{$x.Name}}{{end}}{{range $x := .Pairs}}{{$x}}{{.}}{{end}}{{range .None}}x{{else}}{{.Text}}{{end}}`,
		`{{if .Yes}}a{{end}}{{if .No}}b{{else if .Zero}}c{{else if .Nil}}d{{else if .None}}e{{else if .Empty}}f{{else if .At}}g{{end}}{{if .One}}h{{end}}{{if .Map}}i{{end}}{{if .N}}j{{end}}{{if .Pairs}}k{{end}}`,
		`{{if and .Yes .Text (not .No)}}a{{end}}{{if or .No .Zero .Empty}}b{{else}}c{{end}}{{if eq .Empty ""}}d{{end}}{{if ne .N 42}}e{{end}}{{if eq .Yes true}}f{{end}}{{if eq .Kind .Text}}g{{end}}{{if eq .Path .Text}}h{{end}}{{if not (eq .N .Zero)}}i{{end}}`,
		`{{index .Map "k"}}{{index .Map "none"}}{{with index .Map "k"}}{{.}}{{end}}{{index .Pairs 1}}{{(index .List 1).Next.Name}}{{len .List}}{{len .Text}}{{print "a" .N .Text}}{{printf "%s-%d" .Path .N}}{{.Deep}}{{.Shared.Deep}}`,
		`{{$x := .Text}}{{$x}}{{if .Yes}}{{$x := .Path}}{{$x}}{{end}}{{$x}}{{template "part" .}}{{template "part" .One}}{{template "none"}}{{/* a comment */}}{{define "part"}}<i>{{with $x := .}}{{$x}}{{end}}{{template "none"}}</i>{{end}}{{define "none"}}<hr>{{end}}`,
		`{{range .List}}{{template "row" .}}{{end}}{{define "row"}}<li>{{.Name}}{{with .Next}}<ul>{{template "row" .}}</ul>{{end}}</li>{{end}}`,
	} {
		p := page(t, in, text)
		for _, l := range in {
			d := some(l)
			if err := p.Left(d); err != nil {
				t.Errorf("%s\nis left to html/template: %v", text, err)
			}
			same(t, p, d, text)
			same(t, p, data{Locale: l, Shared: &Shared{}, List: d.List[:2:2]}, text)
		}
	}
}

func same(t *testing.T, p *fill.Template, d any, text string) {
	t.Helper()
	var got, want bytes.Buffer
	plain, err := p.Plain(&want, d), p.Execute(&got, d)
	if (err == nil) != (plain == nil) {
		t.Errorf("%s\n%v, html/template says %v", text, err, plain)
	}
	if plain == nil && got.String() != want.String() {
		t.Errorf("%s\nwrote %q\nhtml/template writes %q", text, got.String(), want.String())
	}
}

// What is not known here is written all the same.
func TestTheUnknownIsLeftToHTMLTemplate(t *testing.T) {
	in := words(t)
	for _, text := range []string{
		`{{range $k, $v := .Map}}{{$k}}{{$v}}{{end}}`, `{{.Map.k}}`, `{{range .List}}{{break}}{{end}}`, `{{.Text | printf "%q"}}`, `{{$x := 1}}{{$x = 2}}{{$x}}`,
		`{{with .Any}}{{.}}{{end}}`, `{{eq .N .Text}}`, `{{slice .Text 1 2}}`, `{{or .Empty .Text}}`, `{{.Unreachable}}`, `{{.Nothing}}`, `{{range .N}}x{{end}}`, `<p title="{{template "part" .Text}}">{{define "part"}}{{.}}{{end}}`,
		`{{.Text | html}}`, `{{index .List 0 1}}`, `{{call .Any}}`, `{{lt .N 3}}`,
	} {
		p, d := page(t, in, text), some(in[0])
		if p.Left(d) == nil {
			t.Errorf("%s is not left to html/template", text)
		}
		same(t, p, d, text)
	}
	for _, d := range []any{nil, map[string]any{"Text": "<x>"}, 7} {
		same(t, page(t, in, `{{.Text}}`), d, "other data")
	}
}

// Data of a language that was not there at the start speak for themselves.
func TestAnotherLanguageSpeaksForItself(t *testing.T) {
	p := page(t, words(t), `{{.T "signin.title"}}`)
	for _, l := range words(t) {
		same(t, p, some(l), l.Tag())
	}
}

func TestAPageThatFailsSaysWhy(t *testing.T) {
	in := words(t)
	for text, want := range map[string]string{
		`{{.Nil.Name}}`: "nil pointer", `{{.Fails}}`: "it failed", `{{.Panics}}`: "it panicked", `{{(index .List 2).Name}}`: "out of range", `{{index .Pairs .N}}`: "out of range",
	} {
		p, d := page(t, in, text), some(in[0])
		if err := p.Left(d); err != nil {
			t.Errorf("%s is left to html/template: %v", text, err)
		}
		same(t, p, d, text)
		if err := p.Execute(new(bytes.Buffer), d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	d := some(in[0])
	d.Shared = nil
	same(t, page(t, in, `{{.Deep}}`), d, "a nil pointer on the way")
}

// A template that cannot be made safe is none.
func TestATemplateThatCannotBeMadeSafeIsRefused(t *testing.T) {
	for _, text := range []string{`<a href="{{if .X}}"{{end}}>`, `<script>{{if .X}}"{{end}}</script>`} {
		set := template.Must(template.New("page").Parse(text))
		if _, err := fill.New(set, "page", nil); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
	if _, err := fill.New(template.New("page"), "other", nil); err == nil {
		t.Error("a template that is not there was taken")
	}
}
