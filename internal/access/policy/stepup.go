package policy

import (
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// stepUp answers "not yet": it asks again as if the person had signed in just
// now with what the policies name in @step_up, and returns the first of them with
// which the answer is yes.
func (v *view) stepUp() *StepUp {
	p := v.plan
	before := v.request.Context
	defer func() { v.request.Context = before }()
	for i := range p.stepUps {
		want := p.stepUps[i]
		context := before.Map()
		if context == nil {
			context = types.RecordMap{}
		}
		context["acr"] = types.String(want.ACR)
		if a, ok := p.context["auth_time"]; ok {
			switch a.Type {
			case resolved.LongType{}:
				context["auth_time"] = types.Long(v.q.At.Unix())
			case resolved.ExtensionType("datetime"):
				context["auth_time"] = types.NewDatetime(v.q.At)
			}
		}
		v.request.Context = types.NewRecord(context)
		if v.allows() {
			return &want
		}
	}
	return nil
}
