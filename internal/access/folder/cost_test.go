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

// To read a text, or to refuse it, costs what its size is: four times as much text
// never takes ten times as long.
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
		cost := func(size int) time.Duration {
			files := Files{f}
			if f.Path != SchemaFile {
				files = append(files, schema)
			}
			files[0].Text = f.Text[:min(len(f.Text), MaxFile, size)]
			least := time.Hour
			for range 3 {
				began := time.Now()
				_, _ = Read(files)
				least = min(least, time.Since(began))
			}
			return least
		}
		size := min(len(f.Text), MaxFile)
		part, whole := cost(size/4), cost(size)
		t.Logf("%s: %s, a quarter of it %s", name, whole, part)
		if whole > 10*part && whole > time.Second {
			t.Errorf("%s: %s, a quarter of it %s", name, whole, part)
		}
	}
}
