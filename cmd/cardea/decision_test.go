package main

import (
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/edge"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// A forbid that cannot be judged denies, and whoever asks why reads which attribute
// it missed.
func TestTheReasonNamesTheAttributeThatIsMissing(t *testing.T) {
	set, err := policy.Compile(policy.Source{Schema: policy.File{Name: "s", Text: []byte(`entity user; entity record { status: String }; action read appliesTo { principal: user, resource: record };`)},
		Policies: []policy.File{{Name: "p", Text: []byte(`@id("all") permit (principal, action, resource); @id("archived") forbid (principal, action, resource) when { resource.status == "archived" };`)}}})
	if err != nil {
		t.Fatal(err)
	}
	a := policy.Decide(policy.NewSnapshot(set, graph.Empty(), 1), &policy.Question{Subject: policy.Entity{Type: "user", ID: "ada"}, Action: "read",
		Resource: policy.Entity{Type: "record", ID: "r1"}, At: time.Unix(1, 0)})
	var said api.AccessAnswer
	for _, r := range a.Reasons {
		said.Reasons = append(said.Reasons, api.AccessReason(r))
	}
	text := because("", said)
	for _, want := range []string{"archived: a policy that forbids could not be judged: ", `record::"r1"`, "`status`"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
}

// A filter for a table permits without finding anything; "0 found" would be a no.
func TestAFilterIsNoSearchThatFoundNothing(t *testing.T) {
	for want, d := range map[string]api.Decision{
		"some rows": {Kind: "search.resource", Answer: api.AccessAnswer{Allowed: true}},
		"0 found":   {Kind: "search.resource"},
		"2 found":   {Kind: "search.resource", Results: 2, Answer: api.AccessAnswer{Allowed: true}},
		"yes":       {Kind: "evaluation", Answer: api.AccessAnswer{Allowed: true}},
	} {
		if got := verdict(d); got != want {
			t.Errorf("%+v is told as %q, want %q", d, got, want)
		}
	}
}

func TestAnEdgeSaysByWhatItDecidesWhenItStarts(t *testing.T) {
	if got := begun(edge.Health{Revision: "0.0"}); strings.Contains(got, "0.0") || !strings.Contains(got, "denied") {
		t.Errorf("at its first start: %s", got)
	}
	if got := begun(edge.Health{Ready: true, Revision: "1.7"}); !strings.HasSuffix(got, "revision 1.7") {
		t.Errorf("with facts: %s", got)
	}
}
