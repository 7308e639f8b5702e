package detail

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is shown to a person.
const (
	maxTemplate = 500 // characters of a text
	maxShown    = 200 // characters of a value in it
)

// Words are a detail as a person reads it.
type Words struct {
	Text string // by the type's template
	JSON string // the whole detail, indented
}

// part is a piece of a template: plain text, or the path of a member.
type part struct {
	text string
	path []string
}

// parseTemplate reads a text with members in braces, such as "Pay
// {amount.value} {amount.currency}".
func parseTemplate(text string) ([]part, error) {
	if n := utf8.RuneCountInString(text); n == 0 || n > maxTemplate || !printable(text) {
		return nil, fmt.Errorf("must have 1 to %d printable characters", maxTemplate)
	}
	var parts []part
	for text != "" {
		plain, rest, open := strings.Cut(text, "{")
		if strings.Contains(plain, "}") {
			return nil, errors.New("has a } without {")
		}
		if plain != "" {
			parts = append(parts, part{text: plain})
		}
		if !open {
			break
		}
		name, rest, closed := strings.Cut(rest, "}")
		if !closed || strings.Contains(name, "{") {
			return nil, errors.New("has a { without }")
		}
		path := strings.Split(name, ".")
		for _, p := range path {
			if p == "" || strings.ContainsFunc(p, func(r rune) bool { return !member(r) }) {
				return nil, fmt.Errorf("names a member %q; members are letters, digits, - and _, below one another with dots", name)
			}
		}
		parts, text = append(parts, part{path: path}), rest
	}
	return parts, nil
}

func member(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// words fills a template in.
func fill(parts []part, value any) string {
	var b strings.Builder
	for _, p := range parts {
		if p.path == nil {
			b.WriteString(p.text)
			continue
		}
		b.WriteString(shown(at(value, p.path)))
	}
	return b.String()
}

func at(v any, path []string) any {
	for _, name := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[name]
	}
	return v
}

// shown is a value as a person may read it. Characters that could rearrange
// what stands around it are replaced, and it is not shown at any length.
func shown(v any) string {
	var text string
	switch x := v.(type) {
	case nil:
		return "–"
	case string:
		text = x
	case []any:
		list := make([]string, len(x))
		for i := range x {
			list[i] = shown(x[i])
		}
		text = strings.Join(list, ", ")
	default:
		text, _ = spell(x)
	}
	text = clean(text)
	if utf8.RuneCountInString(text) > maxShown {
		text = string([]rune(text)[:maxShown]) + "…"
	}
	return text
}

func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// indented is a detail to be looked at as a whole.
func indented(text string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return clean(text)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(v) != nil {
		return clean(text)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}
