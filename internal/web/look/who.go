package look

import (
	"hash/fnv"
	"unicode"
)

// Who is how a person or an application is shown. The layout has the template
// "who" for it.
type Who struct {
	Name, Detail, Initial string
	Tint                  int
}

// NewWho shows whoever has an id, whose colour is always the same.
func NewWho(id, name, detail string) Who {
	return Who{Name: name, Detail: detail, Initial: initial(name), Tint: tint(id)}
}

// initial is the first letter or digit of a name.
func initial(name string) string {
	for _, c := range name {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return string(unicode.ToUpper(c))
		}
	}
	return "·"
}

// tint gives an id one of six colours.
func tint(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % 6)
}
