package authzen

import (
	"testing"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// What a token proves is put into the question of one item, never into the context
// that a batch shares: decisions that were noted are written down meanwhile.
func TestTokensDoNotChangeSharedContexts(t *testing.T) {
	s := &Server{}
	shared := policy.Properties{"ip": "::1", "acr": "aal3"}
	a := &asked{context: shared, contextSent: true}
	q := &request{caller: Caller{Person: &Vouched{Subject: policy.Entity{Type: "user", ID: "ada"}, Context: policy.Properties{"acr": "aal1"}}}}
	p := policy.Question{Subject: policy.Entity{Type: "user", ID: "ada"}, Context: a.context}
	v, refused, err := s.trusted(q, a, &p)
	if err != nil || refused != "" || v == nil || p.Context["acr"] != "aal1" || p.Context["ip"] != "::1" {
		t.Fatalf("%v %q %v", p.Context, refused, err)
	}
	if shared["acr"] != "aal3" {
		t.Errorf("the shared context became %v", shared)
	}
}
