package authzen

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Properties that are written like those before are not read again. They count, and
// are bounded, as if they were.
func TestPropertiesThatAreRepeatedCountEachTime(t *testing.T) {
	batch := func(properties string, times int) string {
		return `{"resource":{"properties":` + properties + `},"evaluations":[` + strings.TrimSuffix(strings.Repeat(`{"resource":{"properties":`+properties+`}},`, times), ",") + `]}`
	}
	deep := func(levels int) string {
		return strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels)
	}
	wide := `{"a":[` + strings.TrimSuffix(strings.Repeat("1,", 98), ",") + `]}` // 100 values
	for _, c := range []struct{ name, text, refused string }{
		{"few", batch(wide, 450), ""},
		{"many", batch(wide, 500), "more than 50000 values"},
		{"deep", batch(deep(maxDepth-4), 2), ""},
		{"too deep for an item", batch(deep(maxDepth-3), 1), "levels deep"},
		{"a key twice", batch(`{"a":1,"a":1}`, 2), "more than once"},
		{"more behind", strings.Replace(batch(`{"a":1}`, 2), `}}]`, `}x}]`, 1), "malformed"},
	} {
		b := &body{}
		switch err := b.read(c.text); {
		case c.refused == "" && err != nil, c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s: %v", c.name, err)
		}
	}
	b := &body{}
	if err := b.read(`{"evaluations":[{"resource":{"properties":{"a":1}},"subject":{"properties":{"a":1}}},{"resource":{"properties":{"a":1 }}},{"resource":{"properties":{"a":1}, "id":"x"}}]}`); err != nil {
		t.Fatal(err)
	}
	one := b.items[0].resource.properties
	for _, got := range []policy.Properties{b.items[0].subject.properties, b.items[1].resource.properties, b.items[2].resource.properties} {
		if len(got) != 1 || !reflect.DeepEqual(got, one) {
			t.Errorf("%v is not %v", got, one)
		}
	}
	if b.items[2].resource.id != "x" || b.items[2].resource.size != len(`{"properties":{"a":1}, "id":"x"}`) {
		t.Errorf("%+v", b.items[2].resource)
	}
}

// The memory of a request is used again, and nothing of what was in it.
func TestABodyForgetsEverything(t *testing.T) {
	const first = `{"subject":{"type":"user","id":"ada","properties":{"a":1}},"action":{"name":"read"},"resource":{"type":"doc","id":"1"},"context":{"access_token":"t","b":2},
		"options":{"evaluations_semantic":"deny_on_first_deny"},"page":{"token":"x","limit":3},"table":{"id":"id"},"evaluations":[{"subject":{"type":"user","id":"bob"},"context":{"c":3}},{"resource":7}]}`
	const second = `{"evaluations":[{},{},{}]}`
	used, fresh := &body{}, &body{}
	for _, text := range []string{first, `{"evaluations":[{"action":`, second} {
		used.reset()
		_ = used.read(text)
	}
	if err := fresh.read(second); err != nil {
		t.Fatal(err)
	}
	if len(used.objects.spare) == 0 || len(used.objects.used) != 0 {
		t.Errorf("the memory of objects is %+v", used.objects)
	}
	for _, p := range used.objects.spare {
		if len(p) > 0 {
			t.Errorf("left over: %v", p)
		}
	}
	used.objects, fresh.objects = objects{}, objects{}
	if !reflect.DeepEqual(used, fresh) {
		t.Errorf("left over: %+v", used)
	}
}
