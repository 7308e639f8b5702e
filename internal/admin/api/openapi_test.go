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
)

var update = flag.Bool("update", false, "rewrite api/openapi.json and docs/reference/api.md")

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

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
