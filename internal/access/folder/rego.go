package folder

import (
	"bytes"
	"regexp"
	"strings"
)

// Reserved is the first part of the names of packages of Rego that are not for
// folders: what Cardea itself gives to agents is below it.
const Reserved = "cardea"

var (
	regoHead = regexp.MustCompile(`^package[ \t]+([A-Za-z_][A-Za-z0-9_]*)((?:\.[A-Za-z_][A-Za-z0-9_]*|\["[A-Za-z0-9_.-]+"\])*)[ \t]*(?:[\r#;].*)?$`)
)

// RegoPackage reads which package a file of Rego is in: the first thing that it
// says besides comments. Nothing else of it is understood here; agents compile it.
func RegoPackage(text []byte) (path []string, line int, ok bool) {
	for raw := range bytes.Lines(text) {
		line++
		said := strings.TrimSpace(string(raw))
		if said == "" || strings.HasPrefix(said, "#") {
			continue
		}
		m := regoHead.FindStringSubmatch(said)
		if m == nil {
			return nil, line, false
		}
		path = append(path, m[1])
		for rest := m[2]; rest != ""; {
			part, after := rest[1:], ""
			if rest[0] == '[' { // ["name"]
				end := strings.IndexByte(rest, ']')
				part, after = rest[2:end-1], rest[end+1:]
			} else if i := strings.IndexAny(part, ".["); i >= 0 {
				part, after = part[:i], part[i:]
			}
			path, rest = append(path, part), after
		}
		return path, line, true
	}
	return nil, max(line, 1), false
}

func checkRego(file File) *Problem {
	path, line, ok := RegoPackage(file.Text)
	switch {
	case !ok:
		return &Problem{File: file.Path, Line: line, Message: "the file does not begin with its package", Advice: "begin with a line such as: package shop.refunds"}
	case path[0] == Reserved:
		return &Problem{File: file.Path, Line: line, Message: "packages below " + Reserved + " are given to agents by the server", Advice: "choose another name"}
	}
	return nil
}
