package main

import (
	"context"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// The same rules in Rego. held is either walked in Rego itself, or asked of our
// own graph through a function in Go.
const regoRules = `
package authz

allow if {
	some_permit
	not some_forbid
}

user := data.attrs[input.subject]
doc := data.attrs[input.resource]

some_permit if { data.permits[input.action] in held }
some_permit if { input.action == "view"; doc.public }
some_permit if { input.action in {"view", "edit"}; doc.owner == input.subject }
some_permit if { input.action == "view"; doc.department == user.department; doc.level < 2 }

some_forbid if { user.suspended }
some_forbid if { doc.level > user.clearance }
some_forbid if { input.action in {"edit", "remove"}; doc.locked; not "owner" in held }
some_forbid if { input.action == "remove"; not input.acr == "aal2" }
`

const walkedInRego = `
subjects := graph.reachable(data.up, {input.subject})
resources := graph.reachable(data.up, {input.resource})

held contains role if {
	some o in resources
	some s in subjects
	some granted in data.grants[o][s]
	some role in data.brings[granted]
}
`

const walkedInGo = `
held := cardea.held(input.subject, input.resource)
`

type opa struct {
	query  rego.PreparedEvalQuery
	inputs []ast.Value
}

func newOPA(w world, snap *policy.Snapshot, inGo bool) (*opa, error) {
	up, grants, attrs := map[string]any{}, map[string]any{}, map[string]any{}
	for _, t := range w.tuples {
		if t.Relation == graph.Member || t.Relation == graph.Parent {
			list, _ := up[t.Subject.ID].([]any)
			up[t.Subject.ID] = append(list, t.Object.ID)
			if up[t.Object.ID] == nil {
				up[t.Object.ID] = []any{}
			}
			continue
		}
		if grants[t.Object.ID] == nil {
			grants[t.Object.ID] = map[string]any{}
		}
		of := grants[t.Object.ID].(map[string]any)
		list, _ := of[t.Subject.ID].([]any)
		of[t.Subject.ID] = append(list, t.Relation)
	}
	for _, a := range w.attrs {
		if attrs[a.Entity.ID] == nil {
			attrs[a.Entity.ID] = map[string]any{}
		}
		v := a.Value
		if n, ok := v.(int64); ok {
			v = float64(n)
		}
		attrs[a.Entity.ID].(map[string]any)[a.Name] = v
	}
	brings := map[string]any{"viewer": []any{"viewer"}, "editor": []any{"editor", "viewer"}, "owner": []any{"owner", "editor", "viewer"}}
	data := map[string]any{"attrs": attrs, "up": up, "grants": grants, "brings": brings, "permits": map[string]any{"view": "viewer", "edit": "editor", "remove": "owner"}}
	rules := regoRules + walkedInRego
	opts := []func(*rego.Rego){rego.Query("data.authz.allow"), rego.Store(inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false)))}
	if inGo {
		rules = regoRules + walkedInGo
		opts = append(opts, rego.Function2(&rego.Function{Name: "cardea.held", Decl: types.NewFunction(types.Args(types.S, types.S), types.NewSet(types.S)), Memoize: true}, held(snap.Graph())))
	}
	q, err := rego.New(append(opts, rego.Module("authz.rego", rules))...).PrepareForEval(context.Background())
	if err != nil {
		return nil, err
	}
	o := &opa{query: q}
	for _, a := range w.asked {
		in, err := ast.InterfaceToValue(map[string]any{"subject": a.Subject.ID, "resource": a.Resource.ID, "action": a.Action, "acr": a.Context["acr"]})
		if err != nil {
			return nil, err
		}
		o.inputs = append(o.inputs, in)
	}
	return o, nil
}

func (o *opa) allowed(i int) (bool, error) {
	r, err := o.query.Eval(context.Background(), rego.EvalParsedInput(o.inputs[i]))
	if err != nil {
		return false, err
	}
	if len(r) == 0 {
		return false, nil
	}
	yes, ok := r[0].Expressions[0].Value.(bool)
	if !ok {
		return false, fmt.Errorf("not a decision: %v", r[0].Expressions[0].Value)
	}
	return yes, nil
}

// held gives Rego the roles as our graph finds them.
func held(g *graph.Graph) rego.Builtin2 {
	brings := map[string][]string{"viewer": {"viewer"}, "editor": {"editor", "viewer"}, "owner": {"owner", "editor", "viewer"}}
	var subject, resource graph.Above
	var grants []graph.Held
	return func(_ rego.BuiltinContext, a, b *ast.Term) (*ast.Term, error) {
		out := ast.NewSet()
		s, ok := g.Find(policy.Entity{Type: "User", ID: string(a.Value.(ast.String))})
		r, ok2 := g.Find(policy.Entity{Type: "Document", ID: string(b.Value.(ast.String))})
		if !ok || !ok2 {
			return ast.NewTerm(out), nil
		}
		if err := g.Climb(s, graph.Member, 0, &subject); err != nil {
			return nil, err
		}
		if err := g.Climb(r, graph.Parent, 0, &resource); err != nil {
			return nil, err
		}
		for i := range resource.Pure() {
			grants = g.Grants(&subject, &resource, i, 0, grants[:0])
			for _, h := range grants {
				for _, role := range brings[g.Relations()[h.Relation]] {
					out.Add(ast.StringTerm(role))
				}
			}
		}
		return ast.NewTerm(out), nil
	}
}
