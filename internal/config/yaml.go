package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// apply reads one YAML document. It walks the nodes itself, so that an unknown
// or repeated key is refused with its line and column, aliases are not followed
// and values are read by the same rules as flags.
func (c *Config) apply(name string, data []byte, report reporter) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return
	}
	if err != nil {
		report(name, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		report(name, "holds more than one document")
		return
	}
	if len(doc.Content) == 0 {
		return
	}
	known := map[string]Field{}
	files := map[string]Field{}
	sections := map[string]bool{"": true}
	for _, f := range Fields() {
		known[f.Key] = f
		if f.Secret {
			files[f.Key+"_file"] = f
		}
		if dot := strings.LastIndex(f.Key, "."); dot > 0 {
			sections[f.Key[:dot]] = true
		}
	}
	w := walker{c: c, name: name, known: known, files: files, sections: sections, report: report}
	w.mapping("", doc.Content[0])
}

type walker struct {
	c            *Config
	name         string
	known, files map[string]Field
	sections     map[string]bool
	report       reporter
}

func (w *walker) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d:%d", w.name, n.Line, n.Column) }

func (w *walker) mapping(section string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		w.report(w.at(n), "%s: want keys and values", orDocument(section))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		key := k.Value
		if section != "" {
			key = section + "." + key
		}
		if line, ok := seen[key]; ok {
			w.report(w.at(k), "%s is already set in line %d", key, line)
			continue
		}
		seen[key] = k.Line
		w.entry(key, k, v)
	}
	for key := range w.files {
		plain := strings.TrimSuffix(key, "_file")
		if line, both := seen[plain]; both && seen[key] > 0 {
			w.report(fmt.Sprintf("%s:%d", w.name, line), "%s is set together with %s; keep one of them", plain, key)
		}
	}
}

func (w *walker) entry(key string, k, v *yaml.Node) {
	if w.sections[key] {
		w.mapping(key, v)
		return
	}
	if f, ok := w.known[key]; ok {
		w.value(f, v)
		return
	}
	if f, ok := w.files[key]; ok && v.Kind == yaml.ScalarNode {
		w.c.setFromFile(f, w.at(v), v.Value, w.report)
		return
	}
	if near := nearest(key, w.known); near != "" {
		w.report(w.at(k), "there is no setting %q (did you mean %s?)", key, near)
		return
	}
	w.report(w.at(k), "there is no setting %q", key)
}

func (w *walker) value(f Field, v *yaml.Node) {
	switch {
	case v.Kind == yaml.ScalarNode && v.Tag == "!!null":
	case v.Kind == yaml.ScalarNode:
		w.c.setFrom(f, w.at(v), v.Value, w.report)
	case v.Kind == yaml.SequenceNode && w.c.value(f).Kind() == reflect.Slice:
		var items []string
		for _, item := range v.Content {
			if item.Kind != yaml.ScalarNode {
				w.report(w.at(item), "%s: want plain values in the list", f.Key)
				return
			}
			items = append(items, item.Value)
		}
		w.c.setFrom(f, w.at(v), strings.Join(items, ","), w.report)
	default:
		w.report(w.at(v), "%s: want a plain value", f.Key)
	}
}

func orDocument(section string) string {
	if section == "" {
		return "the file"
	}
	return section
}

// nearest finds the known key that key was probably meant to be, if any is
// within two edits.
func nearest(key string, known map[string]Field) string {
	best, distance := "", 3
	for k := range known {
		if d := edits(key, k); d < distance || d == distance && best != "" && k < best {
			best, distance = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance of a and b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost = 1 + min(diagonal, row[j], row[j-1])
			}
			diagonal, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}
