package cardea_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// requirementCounts is how many requirements each family has. A requirement
// is never dropped; one that stops to apply says so in its row.
var requirementCounts = map[string]int{
	"PW": 11, "MF": 10, "WA": 11, "SE": 11, "AZ": 11, "TK": 11, "JW": 9, "CL": 7,
	"LC": 8, "AK": 5, "PD": 8, "AD": 8, "WB": 7, "AU": 7, "OP": 5,
}

var (
	requirementRow = regexp.MustCompile(`^\| ([A-Z]{2})-(\d\d) \| (.+?) \| *(.*?) *\|$`)
	codeSpan       = regexp.MustCompile("`([^`]+)`")
)

// testsByName is every test of the repository, as folder.TestName.
func testsByName(t *testing.T) map[string]bool {
	known := map[string]bool{}
	for _, f := range tests(t) {
		for _, d := range f.file.Decls {
			if name, ok := testName(d); ok {
				known[strings.TrimPrefix(filepath.Join("cardea", f.pkg), "cardea/")+"."+name] = true
			}
		}
	}
	return known
}

// TestConformanceNamesRealTests: whatever docs/protocol/conformance.md calls a
// test is one, and each clause has a test or says why not.
func TestConformanceNamesRealTests(t *testing.T) {
	known, rows := testsByName(t), 0
	for _, line := range strings.Split(read(t, "docs/protocol/conformance.md"), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| ") || cells[len(cells)-1] == "shown by" {
			continue
		}
		rows++
		shown, found := strings.TrimLeft(cells[len(cells)-1], "| "), 0
		for _, span := range codeSpan.FindAllStringSubmatch(shown, -1) {
			test := strings.Contains(span[1], ".Test") || strings.HasPrefix(span[1], "e2e/")
			if test && !known[span[1]] && !(strings.HasPrefix(span[1], "e2e/") && exists(span[1])) {
				t.Errorf("%s: there is no test %s", cells[1], span[1])
			}
			if test {
				found++
			}
		}
		if found == 0 && !strings.HasPrefix(shown, "no test yet: ") && !strings.HasPrefix(shown, "not offered: ") {
			t.Errorf("%s: neither a test nor the reason why there is none", cells[1])
		}
	}
	if rows < 50 {
		t.Errorf("%d clauses, want at least 50", rows)
	}
}

func TestEverySecurityRequirementNamesItsTest(t *testing.T) {
	known := testsByName(t)
	routes := map[string]bool{}
	for _, f := range sources(t) {
		for _, s := range f.strings() {
			routes[s.text] = true
		}
	}
	seen, counts := map[string]bool{}, map[string]int{}
	for _, line := range strings.Split(read(t, "docs/security/requirements.md"), "\n") {
		m := requirementRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		id, shown := m[1]+"-"+m[2], m[4]
		if seen[id] {
			t.Errorf("%s stands there twice", id)
		}
		seen[id] = true
		counts[m[1]]++
		spans := codeSpan.FindAllStringSubmatch(shown, -1)
		if len(spans) == 0 {
			t.Errorf("%s names neither a test nor what its feature arrives with", id)
		}
		_, pending := strings.CutPrefix(shown, "pending: ")
		for _, span := range spans {
			switch what := span[1]; {
			case pending && (exists(what) || routes[what]):
				t.Errorf("%s is pending, but %s exists: name the test that shows it", id, what)
			case pending || known[what]:
			case strings.HasPrefix(what, "e2e/") && exists(what):
			default:
				t.Errorf("%s: there is no test %s", id, what)
			}
		}
	}
	for family, want := range requirementCounts {
		if counts[family] != want {
			t.Errorf("%d requirements of %s, want %d", counts[family], family, want)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+?)\s*$`)
	fence   = regexp.MustCompile("(?s)```.*?```")
	target  = regexp.MustCompile("`make ([a-z0-9-]+)")
	setting = regexp.MustCompile(`--set ["']?([a-z_]+)=`)
)

func TestLinksInDocumentsLead(t *testing.T) {
	for _, doc := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(read(t, doc), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			path := doc
			if file != "" {
				path = filepath.Join(filepath.Dir(doc), file)
			}
			if !exists(path) {
				t.Errorf("%s leads to %s, which is not there", doc, m[1])
			} else if anchor != "" && !anchors(read(t, path))[anchor] {
				t.Errorf("%s leads to %s, which has no such heading", doc, m[1])
			}
		}
	}
}

// Whoever looks for an answer begins at the first page.
func TestEveryGuideIsFoundFromTheFirstPage(t *testing.T) {
	front := read(t, "README.md")
	for _, doc := range documents(t) {
		if (strings.HasPrefix(doc, "docs/guide/") || strings.HasPrefix(doc, "docs/reference/")) && !strings.Contains(front, "]("+doc+")") {
			t.Errorf("README.md does not lead to %s", doc)
		}
	}
}

func TestDocumentsNameRealSettings(t *testing.T) {
	reference, seen := read(t, "docs/reference/realm-settings.md"), 0
	for _, doc := range documents(t) {
		for _, m := range setting.FindAllStringSubmatch(read(t, doc), -1) {
			if seen++; m[1] != "name" && !strings.Contains(reference, "| `"+m[1]+"` |") {
				t.Errorf("%s sets %s, which no realm knows", doc, m[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d settings are set in documents, want at least 20", seen)
	}
}

func TestDocumentsNameRealTargets(t *testing.T) {
	makefile := read(t, "Makefile")
	for _, doc := range documents(t) {
		for _, m := range target.FindAllStringSubmatch(read(t, doc), -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s speaks of make %s, which the Makefile does not know", doc, m[1])
			}
		}
	}
}

// A page that asks for a password must not be able to run what somebody
// smuggled into it; the policy header forbids it, and this keeps us from
// needing an exception.
func TestTemplatesHaveNothingInline(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script(?:\s+(?:defer|async|type="module"))*\s*>|<style|\sstyle=|\son[a-z]+\s*=|javascript:`)
	for _, page := range walk(t, ".html") {
		if m := inline.FindString(read(t, page)); m != "" {
			t.Errorf("%s holds %q; scripts and styles are files", page, m)
		}
	}
}

func TestEveryDependencyHasItsReason(t *testing.T) {
	var decisions strings.Builder
	for _, doc := range documents(t) {
		if strings.HasPrefix(doc, "docs/decisions/") {
			decisions.WriteString(read(t, doc))
		}
	}
	for _, line := range strings.Split(read(t, "go.mod"), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(fields[1], "v") {
			continue // indirect ones come with those that stand here
		}
		if !strings.Contains(decisions.String(), fields[0]) {
			t.Errorf("no page of docs/decisions says why we depend on %s", fields[0])
		}
	}
}

func TestArchitecturePageNamesEveryPackage(t *testing.T) {
	page := read(t, "ARCHITECTURE.md")
	seen := map[string]bool{}
	for _, f := range sources(t) {
		if name := strings.TrimPrefix(f.pkg, "internal/"); !seen[f.pkg] && !strings.Contains(page, name) {
			t.Errorf("ARCHITECTURE.md does not say where %s is", f.pkg)
		}
		seen[f.pkg] = true
	}
}

func TestLockFileNamesNoRegistry(t *testing.T) {
	for _, lock := range []string{"e2e/package-lock.json"} {
		if strings.Contains(read(t, lock), `"resolved"`) {
			t.Errorf("%s names a registry; run npm install with e2e/.npmrc in place", lock)
		}
	}
}

// Each npm package stands by itself, so what both need lies in both.
func TestPackagesForNodeShareTheirQuestions(t *testing.T) {
	for _, name := range []string{"question.js", "question.d.ts"} {
		if read(t, "js/edge/"+name) != read(t, "js/verify/"+name) {
			t.Errorf("js/edge/%[1]s and js/verify/%[1]s differ: copy the one that is right over the other", name)
		}
	}
}

func anchors(text string) map[string]bool {
	found := map[string]bool{}
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		slug := drop.ReplaceAllString(strings.ToLower(m[1]), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

// documents are the Markdown pages of the repository.
func documents(t *testing.T) []string { return walk(t, ".md") }

func walk(t *testing.T, extension string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && (e.Name() == "node_modules" || e.Name() == ".git" || e.Name() == "bin") {
			return filepath.SkipDir
		}
		if err == nil && filepath.Ext(path) == extension {
			list = append(list, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// parsers are the fuzz targets of what strangers send. What was found with them
// is committed, so that every run of the tests begins there.
var parsers = map[string]string{
	"tokens": "internal/jose/FuzzParse", "claims of tokens": "internal/jose/FuzzParseObject", "key sets": "internal/jose/FuzzParseSet", "proofs of possession": "internal/jose/FuzzProof",
	"opaque tokens": "internal/identity/token/FuzzReadOpaque", "forms": "internal/web/FuzzParams", "cookies": "internal/web/FuzzCookie", "session cookies": "internal/identity/session/FuzzCookie",
	"redirect URIs": "internal/identity/client/FuzzRedirect", "JSON": "internal/web/FuzzStrictJSON", "configuration": "internal/config/FuzzFile",
	"authorization requests": "internal/identity/oauth/FuzzAuthorize", "claims parameters": "internal/identity/oauth/FuzzClaims", "client credentials": "internal/identity/oauth/FuzzBasic",
	"forwarding headers": "internal/web/FuzzForwardedFor", "paths": "internal/web/FuzzCleanPath", "languages": "internal/i18n/FuzzMatch", "realms in addresses": "internal/realm/FuzzResolve",
	"names": "internal/identity/principal/FuzzCanonical", "passwords": "internal/identity/credential/FuzzRules", "password hashes": "internal/identity/credential/FuzzParseHash",
	"status lists": "internal/statuslist/FuzzDecode", "event streams": "verify/FuzzEvents",
}

func TestEveryParserIsFuzzedFromACorpus(t *testing.T) {
	targets := map[string]bool{}
	for _, f := range tests(t) {
		for _, d := range f.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Fuzz") {
				targets[filepath.Join(f.pkg, fn.Name.Name)] = true
			}
		}
	}
	for what, target := range parsers {
		folder, name := filepath.Split(target)
		corpus, _ := filepath.Glob(filepath.Join(folder, "testdata", "fuzz", name, "*"))
		if !targets[target] || len(corpus) < 5 {
			t.Errorf("%s: %s exists: %v, and its corpus has %d entries", what, target, targets[target], len(corpus))
		}
	}
}
