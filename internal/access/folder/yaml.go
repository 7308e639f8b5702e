package folder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"
)

// maxDepth is how deep YAML may be nested.
const maxDepth = 16

// reader walks the nodes of one YAML file and notes every problem with its
// place. Keys it does not know are refused: a misspelt "expect" would be a test
// that cannot fail.
type reader struct {
	file     string
	problems *Problems
}

func (r reader) problem(n *yaml.Node, advice, format string, args ...any) {
	*r.problems = append(*r.problems, Problem{File: r.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...), Advice: advice})
}

var yamlPlace = regexp.MustCompile(`line (\d+)(?:, column (\d+))?: (.*)`)

// document parses the one document of a file; nil if there is nothing to read.
func (r reader) document(text []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil
	}
	if err == nil {
		if again := dec.Decode(&second); again == nil {
			r.problem(&second, "make it a file of its own", "there is more than one document")
			return nil
		} else if !errors.Is(again, io.EOF) {
			err = again
		}
	}
	if err != nil {
		p := Problem{File: r.file, Line: 1, Message: strings.TrimPrefix(err.Error(), "yaml: "), Advice: "write it as YAML"}
		if m := yamlPlace.FindStringSubmatch(err.Error()); m != nil {
			p.Line, _ = strconv.Atoi(m[1])
			p.Column, _ = strconv.Atoi(m[2])
			p.Message = m[3]
		}
		*r.problems = append(*r.problems, p)
		return nil
	}
	if !r.plain(doc.Content[0], 0) {
		return nil
	}
	return doc.Content[0]
}

// plain refuses what would let a small file mean a big one, or something else
// than it shows.
func (r reader) plain(n *yaml.Node, depth int) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.problem(n, "write it out", "anchors and aliases are not read")
		return false
	case depth > maxDepth:
		r.problem(n, "", "it is nested deeper than %d", maxDepth)
		return false
	}
	for i, c := range n.Content {
		if !r.plain(c, depth+1) {
			return false
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 && (c.Kind != yaml.ScalarNode || c.Tag == "!!merge") {
			r.problem(c, "", "a key is a plain name")
			return false
		}
	}
	return true
}

// pairs calls each for the keys of a mapping. Absent values are nil nodes of
// their kind: a key without a value is as if it were not there.
func (r reader) pairs(n *yaml.Node, what string, each func(key, value *yaml.Node)) {
	if null(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.problem(n, "write keys and values", "%s is not made of keys and values", what)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if line, twice := seen[k.Value]; twice {
			r.problem(k, "keep one of them", "%s stands already in line %d", quoted(k.Value), line)
			continue
		}
		seen[k.Value] = k.Line
		each(k, v)
	}
}

// fields calls the function of each key, and refuses the others.
func (r reader) fields(n *yaml.Node, what string, known map[string]func(*yaml.Node)) {
	r.pairs(n, what, func(k, v *yaml.Node) {
		if f, ok := known[k.Value]; ok {
			f(v)
			return
		}
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		r.problem(k, "known are "+strings.Join(names, ", "), "%s has no key %s", what, quoted(k.Value))
	})
}

// items calls each for the items of a list.
func (r reader) items(n *yaml.Node, what string, each func(*yaml.Node)) {
	if null(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.problem(n, "write [a, b] or one item a line, each behind a dash", "%s is not a list", what)
		return
	}
	for _, item := range n.Content {
		each(item)
	}
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// word reads a name: any plain value, as it is written.
func (r reader) word(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || null(n) || n.Value == "" {
		r.problem(n, "", "%s is not a plain value", what)
		return ""
	}
	return n.Value
}

func (r reader) words(n *yaml.Node, what string) (all []string) {
	r.items(n, what, func(item *yaml.Node) {
		if s := r.word(item, what); s != "" {
			all = append(all, s)
		}
	})
	return all
}

// moment reads a time.
func (r reader) moment(n *yaml.Node, what string) time.Time {
	t, err := time.Parse(time.RFC3339, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		r.problem(n, "write it like 2026-11-28T12:00:00Z", "%s is not a time", what)
	}
	return t.UTC()
}

// value reads any JSON value.
func (r reader) value(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		r.pairs(n, "a record", func(k, v *yaml.Node) { m[k.Value] = r.value(v) })
		return m
	case yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			l = append(l, r.value(c))
		}
		return l
	}
	switch n.Tag {
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err == nil {
			return b
		}
	case "!!int":
		var i int64
		if err := n.Decode(&i); err == nil {
			return json.Number(strconv.FormatInt(i, 10))
		}
		r.problem(n, "numbers have 64 bits", "%s is too large", quoted(n.Value))
		return nil
	case "!!float":
		r.problem(n, `put decimals between quotation marks, as "1.5"`, "%s is no whole number", quoted(n.Value))
		return nil
	case "!!null":
		r.problem(n, "leave the key out", "there is no value")
		return nil
	}
	return n.Value
}

// record reads a mapping of any JSON values.
func (r reader) record(n *yaml.Node, what string) map[string]any {
	m := map[string]any{}
	r.pairs(n, what, func(k, v *yaml.Node) { m[k.Value] = r.value(v) })
	return m
}
