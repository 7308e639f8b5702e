// Package looktest holds pages to what html/template makes of them.
package looktest

import (
	"bytes"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"reflect"
	"testing"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/web/look"
)

// nasty is what people, applications and operators may have us write on a page.
var nasty = []string{
	"", "", "a", "Ordinary words", "/account", "/a?x=1&y=%2f#z", "//host/", "https://app.example.com/cb?a=b&c=d+e", "javascript:alert(1)", "JaVaScRiPt&colon;alert(1)",
	"data:text/html,<script>", "myapp:back", `"><script>alert('x')</script>`, "a' onload='x", "`${x}`", "</title></textarea></script><!--", "]]>&amp;&lt;&#39;",
	"+ = % %2 %zz %41 \\", "x\x00y\r\n\tz", "\xff\xfe\xc3(", "ÄÖÜ ß – “Zitat” 日本語 🙂 \u202e\u2028\ufdd0\uffff", "{{.Form}}", "home", "register", "{realm} {n}",
}

const (
	rounds = 12 // with each page, in each language
	depth  = 8  // how far data go into what they are made of
)

// Check fills in every page, in every language, with nasty values, and fails the
// test where a byte differs from what html/template itself writes. data makes
// what each page is given, by its name: whatever can be set there and is not yet is
// made up.
func Check(t *testing.T, l *look.Look, words *i18n.Catalogue, data map[string]func() any) {
	t.Helper()
	pages, err := l.Pages().Templates()
	if err != nil {
		t.Fatal(err)
	}
	for name := range data {
		if pages[name] == nil {
			t.Errorf("there is no page %q", name)
		}
	}
	for name, page := range pages {
		make, ok := data[name]
		if !ok {
			t.Errorf("nobody says what the page %q is given", name)
			continue
		}
		if err := page.Left(make()); err != nil {
			t.Errorf("the page %q is left to html/template: %v", name, err)
			continue
		}
		random := rand.New(rand.NewPCG(1, 2))
		whole := 0
		for _, locale := range words.Locales() {
			for range rounds {
				m := maker{random, begin(l, locale, random)}
				like := make()
				v := reflect.New(reflect.TypeOf(like)).Elem()
				v.Set(reflect.ValueOf(like))
				m.fill(v, depth)
				var got, want bytes.Buffer
				plain, quick := page.Plain(&want, v.Interface()), page.Execute(&got, v.Interface())
				if (plain == nil) != (quick == nil) {
					t.Fatalf("%s in %s: %v, html/template says %v", name, locale.Tag(), quick, plain)
				}
				if plain != nil {
					t.Logf("%s in %s: %v", name, locale.Tag(), plain)
					continue
				}
				whole++
				if !bytes.Equal(got.Bytes(), want.Bytes()) {
					t.Fatalf("%s in %s: wrote\n%s\nhtml/template writes\n%s", name, locale.Tag(), around(got.Bytes(), want.Bytes()), around(want.Bytes(), got.Bytes()))
				}
			}
		}
		if whole < rounds {
			t.Errorf("%s was filled in to its end only %d times", name, whole)
		}
	}
}

// around is the part of a in which it begins to differ from b.
func around(a, b []byte) []byte {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return a[max(0, i-80):min(len(a), i+80)]
}

// begin begins a page in a language, at an address and a site of any kind.
func begin(l *look.Look, locale *i18n.Locale, random *rand.Rand) *look.Page {
	r := httptest.NewRequest("GET", "/signin", nil)
	r.URL.RawQuery = url.Values{"flow": {pick(random)}, "before": {pick(random)}}.Encode()
	if random.IntN(2) == 0 {
		r.URL.RawQuery = ""
	}
	path := []string{"", "/realms/acme", `/a"b<c>`, "x:y", "/%zz"}[random.IntN(5)]
	p := l.Page(httptest.NewRecorder(), r, look.Site{Name: pick(random), Path: path}, locale.Tag(), "")
	p.Title, p.Request, p.Wide, p.Passing = pick(random), pick(random), random.IntN(2) == 0, random.IntN(2) == 0
	return p
}

func pick(random *rand.Rand) string { return nasty[random.IntN(len(nasty))] }

// maker makes data up.
type maker struct {
	*rand.Rand
	page *look.Page
}

// fill sets whatever is zero in v and can be set.
func (m maker) fill(v reflect.Value, deep int) {
	if v.Type() == reflect.TypeFor[*look.Page]() {
		v.Set(reflect.ValueOf(m.page))
		return
	}
	if deep == 0 {
		return
	}
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			// What is embedded lets its own fields be set even where it has a name
			// of its package's own.
			if f := v.Type().Field(i); f.IsExported() || f.Anonymous {
				m.fill(v.Field(i), deep-1)
			}
		}
		return
	}
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		m.fill(v.Elem(), deep-1)
		return
	}
	if !v.CanSet() || !v.IsZero() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(pick(m.Rand))
	case reflect.Bool:
		v.SetBool(m.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, 2, 12, 1234567}[m.IntN(5)])
	case reflect.Pointer:
		if m.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			m.fill(v.Elem(), deep-1)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), m.IntN(3), 3))
		for i := range v.Len() {
			m.fill(v.Index(i), deep-1)
		}
	case reflect.Array:
		for i := range v.Len() {
			m.fill(v.Index(i), deep-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		if v.Type().Key().Kind() == reflect.String {
			for _, key := range []string{"name", "username", "email", "password", "new", "given_name"} {
				value := reflect.New(v.Type().Elem()).Elem()
				m.fill(value, deep-1)
				v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), value)
			}
		}
	}
}
