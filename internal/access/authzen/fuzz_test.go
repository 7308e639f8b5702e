package authzen

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// Whatever is read is JSON to encoding/json as well, and means the same there;
// what is refused beyond that has a key twice, half a surrogate pair, or is larger
// or deeper than is read.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"1"},"context":{"a":[1,-2.5e+3,true,null,"\u00e4\ud83d\ude00\n"]}}`,
		`{"evaluations":[{},{"context":{}}],"options":{"evaluations_semantic":"execute_all"},"page":{"token":"x","limit":3}}`,
		`{"resource":{"properties":{"a":[1]}},"evaluations":[{"resource":{"properties":{"a":[1]}}},{"resource":{"properties":{"a":[1]},"id":"x"},"subject":{"properties":{"a":[1] }}},{"resource":{"properties":{"a":[1],"b":{}}}}]}`,
		`{"context":{"a":1,"a":2}}`, `{"context":{"a":"\ud800"}}`, `{"context":{"a":01}}`, `{"context":{"a":1.}}`, `{"context":{"a" :{ } } }`, `[]`, `{`, `{"context":{"x":tru}}`, `{"context":{},}`, "{\"context\":{\"a\":\"\x01\"}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b := &body{}
		err := b.read(text)
		dec := json.NewDecoder(bytes.NewReader([]byte(text)))
		dec.UseNumber()
		var theirs struct {
			Context any `json:"context"`
		}
		var whole map[string]any
		known := json.Valid([]byte(text)) && dec.Decode(&whole) == nil
		if err == nil && !known {
			t.Fatalf("read %q, which is no JSON", text)
		}
		if err != nil {
			return
		}
		items, _ := whole["evaluations"].([]any)
		for i := range items {
			item, _ := items[i].(map[string]any)
			resource, _ := item["resource"].(map[string]any)
			want, _ := resource["properties"].(map[string]any)
			if got := map[string]any(b.items[i].resource.properties); !reflect.DeepEqual(got, want) && !strings.Contains(text, "\\u0000") {
				t.Fatalf("%q: item %d says %v, want %v", text, i, got, want)
			}
		}
		if !b.contextSent || b.asked.wrong != "" {
			return
		}
		theirs.Context = whole["context"]
		context, ok := theirs.Context.(map[string]any)
		if !ok {
			t.Fatalf("%q: context is %v", text, theirs.Context)
		}
		delete(context, tokenMember)
		if !reflect.DeepEqual(map[string]any(b.context), context) && !strings.Contains(text, "\\u0000") {
			t.Fatalf("%q: read %v, want %v", text, b.context, context)
		}
	})
}
