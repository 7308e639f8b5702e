// Package i18n owns the words of the product: one catalogue, one JSON file for
// each language, the same keys in all of them. It does not know who says them.
//
// A message is text, or one text for each plural category of its language.
// {name} stands for an argument; the argument "n" chooses the category.
package i18n

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

//go:embed locales/*.json
var files embed.FS

// Default is the language whose words stand in when nothing better is known.
const Default = "en"

// Catalogue holds all languages.
type Catalogue struct {
	locales []*Locale
	matcher language.Matcher
}

// Locale is one language. Its methods are safe for concurrent use.
type Locale struct {
	tag      language.Tag
	name     string // of the tag
	messages map[string]message
}

// message is one text, or texts by plural category.
type message struct {
	text  string
	forms map[plural.Form]string
}

// Load reads the languages that are built in. They are tested to be complete.
func Load() (*Catalogue, error) {
	tree, err := fs.Sub(files, "locales")
	if err != nil {
		return nil, err
	}
	return load(tree)
}

func load(tree fs.FS) (*Catalogue, error) {
	names, err := fs.Glob(tree, "*.json")
	if err != nil {
		return nil, err
	}
	c := &Catalogue{}
	for _, name := range names {
		l, err := read(tree, name)
		if err != nil {
			return nil, fmt.Errorf("language file %s: %w", name, err)
		}
		c.locales = append(c.locales, l)
	}
	// What nobody asked for comes first: the matcher falls back to it.
	slices.SortStableFunc(c.locales, func(a, b *Locale) int {
		switch Default {
		case a.Tag():
			return -1
		case b.Tag():
			return 1
		}
		return strings.Compare(a.Tag(), b.Tag())
	})
	if len(c.locales) == 0 || c.locales[0].Tag() != Default {
		return nil, fmt.Errorf("there is no language file %s.json", Default)
	}
	tags := make([]language.Tag, len(c.locales))
	for i, l := range c.locales {
		tags[i] = l.tag
	}
	c.matcher = language.NewMatcher(tags)
	return c, nil
}

var forms = map[string]plural.Form{
	"zero": plural.Zero, "one": plural.One, "two": plural.Two, "few": plural.Few, "many": plural.Many, "other": plural.Other,
}

func read(tree fs.FS, name string) (*Locale, error) {
	tag, err := language.Parse(strings.TrimSuffix(path.Base(name), ".json"))
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, err
	}
	l := &Locale{tag: tag, name: tag.String(), messages: make(map[string]message, len(raw))}
	for key, value := range raw {
		m, err := parse(value)
		if err != nil {
			return nil, fmt.Errorf("message %q: %w", key, err)
		}
		l.messages[key] = m
	}
	return l, nil
}

func parse(value json.RawMessage) (m message, err error) {
	if err := json.Unmarshal(value, &m.text); err == nil {
		return m, nil
	}
	var texts map[string]string
	if err := json.Unmarshal(value, &texts); err != nil {
		return m, err
	}
	m.forms = map[plural.Form]string{}
	for name, text := range texts {
		form, ok := forms[name]
		if !ok {
			return m, fmt.Errorf("%q is no plural category", name)
		}
		m.forms[form] = text
	}
	if _, ok := m.forms[plural.Other]; !ok {
		return m, fmt.Errorf(`the plural category "other" is missing`)
	}
	return m, nil
}

// Locales are the languages, the default one first.
func (c *Catalogue) Locales() []*Locale { return slices.Clone(c.locales) }

// Match is the language that suits best. Wishes come in the order of their
// weight: each is a list as in ui_locales (separated by spaces) or in
// Accept-Language. Those that are empty or make no sense are passed over.
func (c *Catalogue) Match(wishes ...string) *Locale {
	for _, wish := range wishes {
		if wish == "" || len(wish) > 512 {
			continue
		}
		if !strings.ContainsAny(wish, ",;") {
			wish = strings.Join(strings.Fields(wish), ",")
		}
		tags, _, err := language.ParseAcceptLanguage(wish)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, confidence := c.matcher.Match(tags...); confidence > language.No {
			return c.locales[i]
		}
	}
	return c.locales[0]
}

// Tag is the BCP 47 tag, as for the lang attribute of HTML.
func (l *Locale) Tag() string { return l.name }

// Name is the language's name for itself.
func (l *Locale) Name() string { return l.T("language.name") }

// Country is what a country is called, by its code of ISO 3166-1, or the code
// where there is no name for it.
func (l *Locale) Country(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := display.Regions(l.tag).Name(region); name != "" {
		return name
	}
	return code
}

// Has reports whether there is a message with this key.
func (l *Locale) Has(key string) bool {
	_, ok := l.messages[key]
	return ok
}

// Keys are all keys, sorted.
func (l *Locale) Keys() []string { return slices.Sorted(maps.Keys(l.messages)) }

// T is the message of that key. args are names and values by turns. A key that
// does not exist gives itself: a page with an odd word beats no page, and a
// test finds it first.
func (l *Locale) T(key string, args ...any) string {
	m, ok := l.messages[key]
	if !ok {
		return key
	}
	text := m.text
	if m.forms != nil {
		text = m.forms[plural.Other]
		if t, ok := m.forms[l.form(args)]; ok {
			text = t
		}
	}
	if len(args) == 0 {
		return text
	}
	if len(args) == 2 { // as most have it: a Replacer is made for many texts
		return strings.ReplaceAll(text, "{"+shown(args[0])+"}", shown(args[1]))
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, "{"+shown(args[i])+"}", shown(args[i+1]))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func shown(arg any) string {
	if s, ok := arg.(string); ok {
		return s
	}
	return fmt.Sprint(arg)
}

// form is the plural category of the argument "n".
func (l *Locale) form(args []any) plural.Form {
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == "n" {
			if n, ok := args[i+1].(int); ok {
				if n < 0 {
					n = -n // the operands of plural rules have no sign (UTS #35, part 3)
				}
				return plural.Cardinal.MatchPlural(l.tag, n, 0, 0, 0, 0)
			}
		}
	}
	return plural.Other
}
