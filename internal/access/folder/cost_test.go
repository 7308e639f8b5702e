package folder

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func listOf(name string, n int) string {
	var all []string
	for i := 1; i <= n; i++ {
		all = append(all, fmt.Sprint(name, i))
	}
	return strings.Join(all, ", ")
}

// No text of an allowed size takes long to be refused or read.
func TestTextsCostWhatTheyWeigh(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, MaxFile/len(s)) }
	schema := File{SchemaFile, []byte("entity user, doc; action read, " + listOf("a", 30) + " appliesTo { principal: [user, doc], resource: [user, doc] };")}
	for name, f := range map[string]File{
		"words on one line":  {"policies/a.cedar", []byte(fill("a "))},
		"comments":           {"policies/a.cedar", []byte(fill("//\n"))},
		"anchors":            {RolesFile, []byte("a: &a [" + strings.Repeat("&b b,", 50_000) + "]\nb: [*a,*a]\n")},
		"kinds of questions": {SchemaFile, []byte("entity " + listOf("t", 100) + "; action " + listOf("a", 5000) + " appliesTo { principal: [" + listOf("t", 100) + "], resource: [" + listOf("t", 100) + "]};")},
		"open policies":      {"policies/a.cedar", []byte(fill("@id(\"a\") permit (principal, action, resource) when { principal has a };\n"))},
	} {
		files := Files{f}
		if f.Path != SchemaFile {
			files = append(files, schema)
		}
		for i := range files {
			files[i].Text = files[i].Text[:min(len(files[i].Text), MaxFile)]
		}
		began := time.Now()
		_, problems := Read(files)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %s (%d problems)", name, took, len(problems))
		} else {
			t.Logf("%s: %s, %d problems", name, took, len(problems))
		}
	}
}
