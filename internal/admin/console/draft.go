package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/web"
)

// draft is what an operator works on: a folder, and a question about it.
type draft struct {
	Base  int64 // the version that it began with; 0: none
	Files []draftFile
	Open  string // path of the file that is looked at
	New   string // path of a file to be added
	Asked asked
	Days  int
	Why   string // of applying
	Plan  string // hash of the plan that was seen
}

type draftFile struct{ Path, Text string }

// asked is a question as it was typed.
type asked struct {
	SubjectType, SubjectID, Action, ResourceType, ResourceID string
	Context, SubjectProperties, ResourceProperties           string
	World                                                    string // the test whose facts count; "": those of now
}

// complete reports whether there is a question at all.
func (a asked) complete() bool {
	return a.SubjectType != "" && a.SubjectID != "" && a.Action != "" && a.ResourceType != "" && a.ResourceID != ""
}

// repeated are the parameters of a draft that come once for each file.
var repeated = []string{"path", "text"}

const maxDays = 366

func readDraft(form web.Params) draft {
	d := draft{Open: form.Get("open"), New: strings.TrimSpace(form.Get("new")), Why: form.Get("why"), Plan: form.Get("plan"), Asked: asked{
		SubjectType: strings.TrimSpace(form.Get("subject_type")), SubjectID: strings.TrimSpace(form.Get("subject_id")), Action: strings.TrimSpace(form.Get("action")),
		ResourceType: strings.TrimSpace(form.Get("resource_type")), ResourceID: strings.TrimSpace(form.Get("resource_id")),
		Context: form.Get("context"), SubjectProperties: form.Get("subject_properties"), ResourceProperties: form.Get("resource_properties"), World: form.Get("world")}}
	d.Base, _ = strconv.ParseInt(form.Get("base"), 10, 64)
	if d.Days, _ = strconv.Atoi(form.Get("days")); d.Days < 1 || d.Days > maxDays {
		d.Days = 7
	}
	paths, texts := form.All("path"), form.All("text")
	for i, p := range paths[:min(len(paths), len(texts), folder.MaxFiles+1)] {
		// Browsers send every line's end as two characters, whatever it was.
		d.Files = append(d.Files, draftFile{p, strings.ReplaceAll(texts[i], "\r\n", "\n")})
	}
	return d
}

// folderOf begins a draft with a folder.
func (d *draft) take(files folder.Files) {
	d.Files = nil
	for _, f := range files {
		d.Files = append(d.Files, draftFile{f.Path, string(f.Text)})
	}
	slices.SortFunc(d.Files, func(a, b draftFile) int { return strings.Compare(place(a.Path), place(b.Path)) })
	if len(d.Files) > 0 && d.Open == "" {
		d.Open = d.Files[0].Path
	}
}

// place sorts files as they are read: schema, roles, policies, tests, the rest.
func place(p string) string {
	for i, first := range []string{folder.SchemaFile, folder.RolesFile, "policies/", "tests/"} {
		if strings.HasPrefix(p, first) {
			return strconv.Itoa(i) + p
		}
	}
	return "9" + p
}

func (d *draft) folder() (all folder.Files) {
	for _, f := range d.Files {
		all = append(all, folder.File{Path: f.Path, Text: []byte(f.Text)})
	}
	return all
}

// add adds the file that is named, with a first line or two.
func (d *draft) add() (wrong string) {
	p := d.New
	if slices.ContainsFunc(d.Files, func(f draftFile) bool { return f.Path == p }) {
		return "console.file.twice"
	}
	text := ""
	switch {
	case strings.HasPrefix(p, "policies/") && strings.HasSuffix(p, ".cedar"):
		text = "@id(\"" + strings.TrimSuffix(p[strings.LastIndex(p, "/")+1:], ".cedar") + "\")\n@reason(\"\")\nforbid (principal, action, resource)\nwhen { false };\n"
	case strings.HasPrefix(p, "tests/") && strings.HasSuffix(p, ".yaml"):
		text = "tests:\n  - name: \n    questions:\n      - {subject: [user, ada], action: read, resource: [document, plan], expect: allow}\n"
	case p == folder.SchemaFile || p == folder.RolesFile || strings.HasPrefix(p, "rego/") || strings.HasPrefix(p, "cardea/"):
	default:
		return "console.file.name"
	}
	d.Files = append(d.Files, draftFile{p, text})
	slices.SortStableFunc(d.Files, func(a, b draftFile) int { return strings.Compare(place(a.Path), place(b.Path)) })
	d.Open, d.New = p, ""
	return ""
}

// drop takes a file out.
func (d *draft) drop(p string) {
	d.Files = slices.DeleteFunc(d.Files, func(f draftFile) bool { return f.Path == p })
	if d.Open == p && len(d.Files) > 0 {
		d.Open = d.Files[0].Path
	}
}

// layOut puts every file that can be read into the canonical layout.
func (d *draft) layOut() {
	for i, f := range d.Files {
		if text, wrong := folder.Layout(folder.File{Path: f.Path, Text: []byte(f.Text)}); wrong == nil {
			d.Files[i].Text = text
		}
	}
}

// question reads what was typed.
func (a asked) question() (q *policy.Question, wrong string) {
	q = &policy.Question{Subject: policy.Entity{Type: a.SubjectType, ID: a.SubjectID}, Action: a.Action, Resource: policy.Entity{Type: a.ResourceType, ID: a.ResourceID}}
	for _, p := range []struct {
		key, text string
		into      *policy.Properties
	}{{"console.context", a.Context, &q.Context}, {"console.subject.properties", a.SubjectProperties, &q.SubjectProperties}, {"console.resource.properties", a.ResourceProperties, &q.ResourceProperties}} {
		if strings.TrimSpace(p.text) == "" {
			continue
		}
		dec := json.NewDecoder(bytes.NewReader([]byte(p.text)))
		dec.UseNumber()
		if err := dec.Decode(p.into); err != nil || dec.More() || *p.into == nil || deep(map[string]any(*p.into)) > maxDeep {
			return nil, p.key
		}
	}
	return q, ""
}

// maxDeep is how deep properties may be nested.
const maxDeep = 16

func deep(v any) int {
	most := 0
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			most = max(most, deep(x))
		}
	case []any:
		for _, x := range v {
			most = max(most, deep(x))
		}
	default:
		return 0
	}
	return most + 1
}

// starter is a small folder to begin with, where a realm has none.
func starter() (folder.Files, error) {
	sub, err := fs.Sub(files, "starter")
	if err != nil {
		return nil, err
	}
	found, problems := folder.Open(sub)
	if len(problems) > 0 {
		return nil, fmt.Errorf("the folder to begin with: %w", problems)
	}
	return found, nil
}
