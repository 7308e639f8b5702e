package i18n

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func mustLoad(t *testing.T) *Catalogue {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// texts are all texts of a message.
func (m message) texts() []string {
	if m.forms == nil {
		return []string{m.text}
	}
	var all []string
	for _, t := range m.forms {
		all = append(all, t)
	}
	return all
}

func placeholders(m message) []string {
	var all []string
	for _, t := range m.texts() {
		all = append(all, placeholder.FindAllString(t, -1)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestLanguagesHaveTheSameMessages(t *testing.T) {
	c := mustLoad(t)
	if len(c.locales) < 2 {
		t.Fatal("there is one language only")
	}
	base := c.locales[0]
	for _, l := range c.locales[1:] {
		for _, key := range base.Keys() {
			if !l.Has(key) {
				t.Errorf("%s lacks %q", l.Tag(), key)
				continue
			}
			a, b := base.messages[key], l.messages[key]
			if (a.forms == nil) != (b.forms == nil) {
				t.Errorf("%s: %q is plural in one language only", l.Tag(), key)
			}
			if got, want := placeholders(b), placeholders(a); !slices.Equal(got, want) {
				t.Errorf("%s: %q has %v, %s has %v", l.Tag(), key, got, base.Tag(), want)
			}
		}
		for _, key := range l.Keys() {
			if !base.Has(key) {
				t.Errorf("%s has %q, which %s lacks", l.Tag(), key, base.Tag())
			}
		}
	}
	for _, l := range c.locales {
		for key, m := range l.messages {
			for _, text := range m.texts() {
				if strings.TrimSpace(text) != text || text == "" || strings.ContainsAny(text, "<>") {
					t.Errorf("%s: %q is empty, padded or holds markup: %q", l.Tag(), key, text)
				}
			}
		}
	}
}

func TestMatch(t *testing.T) {
	c := mustLoad(t)
	for _, x := range []struct {
		wishes []string
		want   string
	}{
		{nil, "en"}, {[]string{""}, "en"}, {[]string{"de"}, "de"}, {[]string{"de-AT"}, "de"}, {[]string{"fr de"}, "de"},
		{[]string{"", "", "de-CH,de;q=0.9,en;q=0.8"}, "de"}, {[]string{"", "en", "de"}, "en"}, {[]string{"xx", "de"}, "de"},
		{[]string{"ja", "zh", "", "de"}, "de"}, {[]string{strings.Repeat("a", 600), "de"}, "de"}, {[]string{"!!!", "de"}, "de"},
		{[]string{"en;q=0.1, de;q=0.9"}, "de"},
	} {
		if got := c.Match(x.wishes...).Tag(); got != x.want {
			t.Errorf("%q: got %s, want %s", x.wishes, got, x.want)
		}
	}
}

func TestT(t *testing.T) {
	c, err := load(fstest.MapFS{
		"en.json": {Data: []byte(`{"hi":"Hello {name}, {other}","left":{"one":"{n} try","other":"{n} tries"}}`)},
		"pl.json": {Data: []byte(`{"hi":"Cześć {name}","left":{"one":"{n} próba","few":"{n} próby","many":"{n} prób","other":"{n} próby"}}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	en, pl := c.Match("en"), c.Match("pl")
	for got, want := range map[string]string{
		en.T("hi", "name", "{other}", "other", "x"): "Hello {other}, x", // what an argument holds is not replaced again
		en.T("left", "n", 1):                        "1 try", en.T("left", "n", 2): "2 tries", en.T("left", "n", -1): "-1 try",
		pl.T("left", "n", 1): "1 próba", pl.T("left", "n", 3): "3 próby", pl.T("left", "n", 5): "5 prób",
		en.T("nothing"): "nothing",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBrokenFilesAreRefused(t *testing.T) {
	for name, tree := range map[string]fstest.MapFS{
		"no default":  {"de.json": {Data: []byte(`{}`)}},
		"not JSON":    {"en.json": {Data: []byte(`{`)}},
		"no language": {"en.json": {Data: []byte(`{}`)}, "no!.json": {Data: []byte(`{}`)}},
		"a number":    {"en.json": {Data: []byte(`{"a":1}`)}},
		"no other":    {"en.json": {Data: []byte(`{"a":{"one":"x"}}`)}},
		"a category":  {"en.json": {Data: []byte(`{"a":{"lots":"x","other":"y"}}`)}},
	} {
		if _, err := load(tree); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Whatever a browser or a client wishes, the answer is a language that there is.
func FuzzMatch(f *testing.F) {
	c, err := Load()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("de, en;q=0.5")
	f.Add("xx-YY")
	f.Fuzz(func(t *testing.T, wish string) {
		if got := c.Match(wish, "de"); !slices.Contains(c.Locales(), got) {
			t.Fatalf("%q: %v", wish, got)
		}
	})
}
