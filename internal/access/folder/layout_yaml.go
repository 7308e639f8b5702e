package folder

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// LayoutYAML gives roles or tests their canonical layout: two spaces, one blank
// line where there were more, no trailing space. It refuses a file whose comments
// or meaning would not come through whole.
func LayoutYAML(file, src string) (string, *Problem) {
	var problems Problems
	r := reader{file, &problems}
	doc := r.document([]byte(src))
	if len(problems) > 0 {
		return "", &problems[0]
	}
	if doc == nil {
		return src, nil
	}
	out, err := dump([]byte(src))
	if err == nil {
		var again string
		if again, err = dump([]byte(out)); err == nil && again != out {
			err = fmt.Errorf("its layout does not come to rest")
		}
	}
	if err == nil && !slices.Equal(yamlComments(src), yamlComments(out)) {
		err = fmt.Errorf("a comment would get lost or move")
	}
	if err == nil && meaning(src) != meaning(out) {
		err = fmt.Errorf("its meaning would change")
	}
	if err != nil {
		return "", &Problem{File: file, Message: "the file cannot be laid out: " + err.Error(), Advice: "put comments on lines of their own, above what they are about"}
	}
	return out, nil
}

func dump(src []byte) (string, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(src, &node); err != nil {
		return "", err
	}
	var b bytes.Buffer
	d, err := yaml.NewDumper(&b, yaml.WithIndent(2), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(-1), yaml.WithUnicode(true))
	if err == nil {
		err = d.Dump(&node)
	}
	if err == nil {
		err = d.Close()
	}
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(airy(lines), "\n") + "\n", nil
}

// airy puts a blank line between the parts of a file, and between the tests of
// one: between keys at the margin and between the items of their lists, where
// one of the two takes more than a line.
func airy(lines []string) (out []string) {
	begins := func(i int) bool {
		s := lines[i]
		return s != "" && s[0] != ' ' && s[0] != '#' || strings.HasPrefix(s, "  - ")
	}
	length := func(i int) int { // lines of the part that begins at i
		n, margin := 1, lines[i][0] != ' '
		for i+n < len(lines) && (margin && strings.HasPrefix(lines[i+n], " ") || !begins(i+n) && !remark(lines[i+n])) {
			n++
		}
		return n
	}
	last, since := 0, -1 // length of the part before, and where the comments above the next one begin
	for i, s := range lines {
		if remark(s) && since < 0 {
			since = len(out)
		}
		if begins(i) {
			at, own := len(out), length(i)
			if since >= 0 {
				at = since
			}
			opens := i > 0 && strings.HasPrefix(s, "  - ") && len(out) > 0 && strings.HasSuffix(out[at-1], ":") && out[at-1][0] != ' '
			if at > 0 && out[at-1] != "" && !opens && (last > 1 || own > 1) {
				out = slices.Insert(out, at, "")
			}
			last, since = own, -1
		} else if !remark(s) {
			since = -1
		}
		out = append(out, s)
	}
	return out
}

// remark reports whether a line is a comment at the margin or at that of lists.
func remark(s string) bool { return strings.HasPrefix(s, "#") || strings.HasPrefix(s, "  #") }

// yamlComments are the comments of a file, in order.
func yamlComments(src string) (all []string) {
	var node yaml.Node
	if yaml.Unmarshal([]byte(src), &node) != nil {
		return nil
	}
	for line := range strings.SplitSeq(src, "\n") {
		if s := strings.TrimSpace(line); strings.HasPrefix(s, "#") {
			all = append(all, s)
		} else if i := strings.Index(s, " #"); i >= 0 && !strings.ContainsAny(s[i+2:], `"'`) {
			all = append(all, strings.TrimSpace(s[i:]))
		}
	}
	return all
}

// meaning is what a file says, without its layout.
func meaning(src string) string {
	var node yaml.Node
	if yaml.Unmarshal([]byte(src), &node) != nil {
		return ""
	}
	var b strings.Builder
	var each func(n *yaml.Node)
	each = func(n *yaml.Node) {
		tag := n.Tag
		if tag == "!!timestamp" { // which we read as a text, in quotation marks or without
			tag = "!!str"
		}
		fmt.Fprintf(&b, "%d %s %q (", n.Kind, tag, n.Value)
		for _, c := range n.Content {
			each(c)
		}
		b.WriteString(")")
	}
	each(&node)
	return b.String()
}

// Layout gives a file of a folder its canonical layout; files beside it and
// Rego stay as they are.
func Layout(f File) (string, *Problem) {
	switch part(f.Path) {
	case "schema", "policy", "own":
		return LayoutCedar(f.Path, string(f.Text))
	case "roles", "test":
		return LayoutYAML(f.Path, string(f.Text))
	}
	return string(f.Text), nil
}
