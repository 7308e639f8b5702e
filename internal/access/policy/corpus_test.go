package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cedar-policy/cedar-go"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// corpus reads the files of Cedar's own corpus that lies in the module of
// cedar-go: those whose name, a hash, begins with a prefix.
func corpus(t *testing.T, prefix string) map[string][]byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/cedar-policy/cedar-go").Output()
	if err != nil {
		t.Skip("the module of cedar-go is not at hand: ", err)
	}
	f, err := os.Open(filepath.Join(strings.TrimSpace(string(dir)), "corpus-tests.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(filepath.Base(h.Name), prefix) && h.Typeflag == tar.TypeReg {
			if files[h.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

type corpusCase struct {
	Schema, Policies, Entities string
	Requests                   []struct {
		Principal, Action, Resource struct{ Type, ID string }
		Context                     json.RawMessage
		Decision                    string
		Reason, Errors              []string
	}
}

// What Cedar's corpus says of a question, Decide says, but that an error in a
// forbid denies. The whole corpus is tried with CARDEA_TEST_CORPUS=all.
func TestCedarsCorpus(t *testing.T) {
	prefix := "0"
	if testing.Short() {
		prefix = "00"
	}
	if os.Getenv("CARDEA_TEST_CORPUS") == "all" {
		prefix = ""
	}
	files := corpus(t, prefix)
	cases, compiled, asked, allowed := 0, 0, 0, 0
	for name, text := range files {
		if !strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".entities.json") {
			continue
		}
		var c corpusCase
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cases++
		snap, effects, err := corpusSnapshot(files[c.Schema], files[c.Policies], files[c.Entities])
		if err != nil {
			continue // what strict validation refuses, or the graph: an id of no bytes
		}
		compiled++
		for i, r := range c.Requests {
			q := &Question{Subject: Entity(r.Principal), Resource: Entity(r.Resource), Action: r.Action.ID, At: time.UnixMilli(1_700_000_000_000)}
			p := snap.set.plans[planKey{q.Action, q.Subject.Type, q.Resource.Type}]
			if p == nil || string(p.action.Entity.UID.Type) != r.Action.Type {
				continue // Cedar asks policies even of what the schema does not have
			}
			if q.Context, err = properties(r.Context); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if q.Context[contextNow] != nil || q.Context[contextAction] != nil {
				continue // we fill these in ourselves
			}
			want := Answer{Allowed: r.Decision == "allow", Determining: r.Reason}
			for _, id := range r.Errors {
				if effects[id] == cedar.Forbid {
					if want.Allowed {
						want = Answer{}
					}
					want.Determining = append(want.Determining, id)
				}
			}
			got := Decide(snap, q)
			if len(got.Reasons) == 1 && got.Reasons[0].Text == "the question cannot be judged" {
				continue // what is not of the schema is refused, not judged
			}
			slices.Sort(want.Determining)
			if by := slices.Sorted(slices.Values(got.Determining)); got.Allowed != want.Allowed || !slices.Equal(by, want.Determining) {
				t.Errorf("%s, request %d: got %v by %q, want %v by %q: %+v", name, i, got.Allowed, by, want.Allowed, want.Determining, got.Reasons)
			}
			if asked++; got.Allowed {
				allowed++
			}
		}
	}
	t.Logf("%d cases, %d of them of use here; %d questions, %d answered with yes", cases, compiled, asked, allowed)
	if compiled*3 < cases || asked < cases || allowed*20 < asked || allowed*20 > asked*19 {
		t.Error("so few of them show little")
	}
}

func properties(raw json.RawMessage) (Properties, error) {
	var out Properties
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err := d.Decode(&out)
	return out, err
}

// corpusSnapshot makes a snapshot of Cedar's files. Who is in whom is told by
// member, since there are no roles.
func corpusSnapshot(schema, policies, entities []byte) (*Snapshot, map[string]cedar.Effect, error) {
	list, err := cedar.NewPolicyListFromBytes("", policies)
	if err != nil {
		return nil, nil, err
	}
	var text bytes.Buffer
	effects := map[string]cedar.Effect{}
	for i, p := range list {
		id := fmt.Sprint("policy", i)
		effects[id] = p.Effect()
		fmt.Fprintf(&text, "@id(%q)\n%s\n", id, p.MarshalCedar())
	}
	set, err := Compile(Source{Schema: File{"schema.cedarschema", schema}, Policies: []File{{"all.cedar", text.Bytes()}}})
	if err != nil {
		return nil, nil, err
	}
	var all []struct {
		UID     struct{ Type, ID string }
		Attrs   json.RawMessage
		Tags    json.RawMessage
		Parents []struct{ Type, ID string }
	}
	if err := json.Unmarshal(entities, &all); err != nil {
		return nil, nil, err
	}
	var c graph.Change
	for _, e := range all {
		if len(e.Parents) == 0 && len(e.Attrs) <= len("{}") && len(e.Tags) <= len("{}") {
			continue // nothing is known of it
		}
		if e.UID.Type == "Action" || strings.HasSuffix(e.UID.Type, "::Action") {
			continue
		}
		for _, part := range []json.RawMessage{e.Attrs, e.Tags} {
			if len(part) == 0 {
				continue
			}
			values, err := properties(part)
			if err != nil {
				return nil, nil, err
			}
			for name, v := range values {
				if slices.ContainsFunc(c.Set, func(a graph.Attribute) bool { return a.Entity == Entity(e.UID) && a.Name == name }) {
					return nil, nil, errors.New("an attribute and a tag of one name")
				}
				c.Set = append(c.Set, graph.Attribute{Entity: Entity(e.UID), Name: name, Value: v})
			}
		}
		for _, p := range e.Parents {
			c.Add = append(c.Add, graph.Tuple{Subject: Entity(e.UID), Relation: graph.Member, Object: Entity(p)})
		}
	}
	g, err := graph.Empty().Apply(c)
	if err != nil {
		return nil, nil, err
	}
	return NewSnapshot(set, g, 1), effects, nil
}
