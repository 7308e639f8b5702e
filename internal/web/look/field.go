package look

import "strings"

// Field is a password field of a page. The layout has the template "password"
// for it.
type Field struct {
	Name, Autocomplete, Label, Described string
	Focus, Invalid                       bool
}

// Secret describes a password field. described are the ids of what explains it,
// of which the first says what is wrong.
func (p *Page) Secret(name, autocomplete string, focus, invalid bool, described ...string) Field {
	if !invalid && len(described) > 1 {
		described = described[1:]
	}
	return Field{name, autocomplete, p.T("field.password.show"), strings.Join(described, " "), focus, invalid}
}
