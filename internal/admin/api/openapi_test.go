package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/app/apptest"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/realm"
)

var update = flag.Bool("update", false, "rewrite api/openapi.json and the pages made from it")

// The committed document is what the running API says of itself. After a
// change: go test ./internal/admin/api -run OpenAPI -update
func TestOpenAPIDocumentIsCurrent(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	doc, err := e.API.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	current(t, filepath.Join("..", "..", "..", "api", "openapi.json"), doc)
	current(t, filepath.Join("..", "..", "..", "docs", "reference", "api.md"), reference(t, doc))
}

// The page of settings is the table of package realm, with the values that the
// document names. go test ./internal/admin/api -run OpenAPI -update
func TestRealmSettingsPageIsWhatOpenAPISays(t *testing.T) {
	e := apptest.Start(t, db.SQLite)
	doc, err := e.API.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	current(t, filepath.Join("..", "..", "..", "docs", "reference", "realm-settings.md"), settingsPage(t, doc))
}

func current(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the API says of itself; run: go test ./internal/admin/api -run OpenAPI -update", name)
	}
}

// document is what the reference page needs of OpenAPI.
type document struct {
	OpenAPI string                          `json:"openapi"`
	Paths   map[string]map[string]operation `json:"paths"`

	Components struct {
		Schemas map[string]struct {
			Properties map[string]struct {
				Description string   `json:"description"`
				Enum        []string `json:"enum"`
			} `json:"properties"`
		} `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	ID         string   `json:"operationId"`
	Summary    string   `json:"summary"`
	Tags       []string `json:"tags"`
	Permission string   `json:"x-permission"`
	Event      string   `json:"x-event"`
	Class      string   `json:"x-rate-class"`
	Dangerous  bool     `json:"x-dangerous"`
}

// reference is a page with one line for each operation.
func reference(t *testing.T, doc []byte) []byte {
	t.Helper()
	var d document
	if err := json.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("the document is OpenAPI %s", d.OpenAPI)
	}
	var b bytes.Buffer
	b.WriteString(`# Admin API

Every operation is below ` + "`{issuer}/api/v1`" + ` and needs an access token whose audience is that
address and whose scope includes ` + "`cardea:admin`" + `; whom it belongs to must be an operator of
the realm. The whole contract, with every field, is [api/openapi.json](../../api/openapi.json);
the Go client is the package ` + "`client`" + `.

This page is generated from what the API says of itself. What is marked ⚠ is dangerous: it takes a
person's sign-in of at least ` + "`operator_acr`" + ` that is no older than ` + "`operator_fresh`" + `.

| operation | | permission | event | rate class |
|---|---|---|---|---|
`)
	for _, path := range sorted(d.Paths) {
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			o, ok := d.Paths[path][method]
			if !ok {
				continue
			}
			if o.Permission == "" || o.Class == "" {
				t.Errorf("%s %s documents no permission or rate class", method, path)
			}
			event := o.Event
			if event != "" {
				event = "`" + event + "`"
			}
			mark := ""
			if o.Dangerous {
				mark = " ⚠"
			}
			b.WriteString("| `" + strings.ToUpper(method) + " " + path + "`" + mark + " | " + o.Summary + " | `" + o.Permission + "` | " + event + " | `" + o.Class + "` |\n")
		}
	}
	return b.Bytes()
}

// settingsPage is a page with one line for each setting of a realm.
func settingsPage(t *testing.T, doc []byte) []byte {
	t.Helper()
	var d document
	if err := json.Unmarshal(doc, &d); err != nil {
		t.Fatal(err)
	}
	documented := d.Components.Schemas["RealmSettings"].Properties
	var b bytes.Buffer
	b.WriteString(`# Settings of a realm

What operators decide about a realm while it runs. What a node is told before it starts is its
[configuration](configuration.md).

` + "```" + `
cardea realm show
cardea realm update --set least_acr=aal2 --set 'factors=password totp passkey'
` + "```" + `

A time is written like ` + "`90s`, `10m`, `12h` or `30d`" + `; a list is words with spaces between them. ` + "`--set name=`" + ` without a value
takes a setting back to its default; what is empty is not shown. Programs send the same names to ` + "`PATCH /realm`" + ` of the
[admin API](api.md), numbers as numbers, and in ` + "`reset`" + ` those that go back.

This page is generated from package realm and from what the admin API says of itself.

| setting | takes | default | what it is for |
|---|---|---|---|
`)
	fields := realm.Fields()
	slices.SortFunc(fields, func(a, b realm.Field) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range fields {
		if documented[f.Name].Description != f.Help || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("setting %s is documented as %q, want a sentence: %q", f.Name, documented[f.Name].Description, f.Help)
		}
		takes, def := map[string]string{"duration": "a time", "integer": "a number", "list": "a list", "text": "text"}[f.Kind], "empty"
		if values := documented[f.Name].Enum; values != nil {
			takes = "`" + strings.Join(values, "`, `") + "`"
		} else if f.Max != "" {
			takes += ", `" + f.Min + "` to `" + f.Max + "`"
		}
		if f.Default != "" {
			def = "`" + f.Default + "`"
		}
		b.WriteString("| `" + f.Name + "` | " + takes + " | " + def + " | " + strings.ReplaceAll(f.Help, "*", `\*`) + " |\n")
	}
	return b.Bytes()
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
