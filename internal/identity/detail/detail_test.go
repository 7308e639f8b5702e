package detail

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit/audittest"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/fault"
)

const payment = `{"type":"object","properties":{"type":{"const":"payment"},"amount":{"type":"object","properties":{"value":{"type":"string","pattern":"^[0-9]+[.][0-9]{2}$"},
	"currency":{"enum":["EUR","CHF"]}},"required":["value","currency"],"additionalProperties":false},"to":{"type":"string","maxLength":100}},
	"required":["type","amount","to"],"additionalProperties":false}`

var words = map[string]string{"en": "Pay {amount.value} {amount.currency} to {to}", "de": "{amount.value} {amount.currency} an {to} zahlen"}

const one20 = `{"type":"payment","amount":{"currency":"EUR","value":"1.20"},"to":"Bob"}`

// TestParse: RFC 9396, section 2. One spelling, and nothing that has two
// meanings or is beyond the bounds.
func TestParse(t *testing.T) {
	list, err := Parse(` [ {"to":"Bob", "type":"payment","amount":{"value":"1.20","currency":"EUR"}} ] `)
	if want := `[{"amount":{"currency":"EUR","value":"1.20"},"to":"Bob","type":"payment"}]`; err != nil || list.String() != want {
		t.Errorf("%s %v, want %s", list.String(), err, want)
	}
	for _, bad := range []string{"", "null", "{}", "[]", "[1]", `["payment"]`, `[{}]`, `[{"type":1}]`, `[{"type":""}]`, `[{"type":"a","type":"b"}]`, `[{"type":"a"}`, `[{"type":"a"}]x`,
		`[{"type":"a"}],"x":[1]`, `[{"type":"a"},{"type":"a"}]`, `[{"type":"a","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}]`,
		`[{"type":"` + strings.Repeat("x", MaxBytes) + `"}]`, "[" + strings.TrimSuffix(strings.Repeat(`{"type":"a"},`, 11), ",") + "]", "[{\"type\":\"a\xff\"}]"} {
		if list, err := Parse(bad); !fault.Is(err, fault.Invalid) || list != nil {
			t.Errorf("%.60q: %v %v", bad, list, err)
		}
	}
}

// TestAmong: to ask for less is to leave details out, never to change one.
func TestAmong(t *testing.T) {
	parse := func(text string) List {
		list, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	granted := parse(`[{"type":"a","x":[1,2]},{"type":"b"},{"type":"c","y":{"p":1,"q":2}}]`)
	for text, want := range map[string]string{
		`[{"type":"b"}]`: "[{\"type\":\"b\"}]", `[{"y":{"q":2,"p":1},"type":"c"},{"x":[1,2],"type":"a"}]`: `[{"type":"a","x":[1,2]},{"type":"c","y":{"p":1,"q":2}}]`,
		`[{"type":"a","x":[1]}]`: "", `[{"type":"a","x":[2,1]}]`: "", `[{"type":"a"}]`: "", `[{"type":"b"},{"type":"d"}]`: "", `[{"type":"b","z":null}]`: "",
	} {
		at, ok := parse(text).Among(granted)
		if got := granted.Pick(at).String(); got != want || ok != (want != "") {
			t.Errorf("%s: %q %v, want %q", text, got, ok, want)
		}
	}
	if got := granted.Pick([]int{-1, 9, 1}).String(); got != `[{"type":"b"}]` {
		t.Errorf("places that there are not: %s", got)
	}
}

// TestWordsHideNothing: what a person reads cannot be rearranged or pushed out
// of sight by what stands in it.
func TestWordsHideNothing(t *testing.T) {
	for text, want := range map[string]string{
		`{"type":"t","to":"Bob","list":["a",1,true],"amount":{"value":"1","o":{"b":1}}}`: "to Bob, a, 1, true, 1, {\"b\":1}, –",
		`{"type":"t","to":"Bob \u202ekcalB\u0007\nx","list":[],"amount":7}`:              "to Bob �kcalB��x, , –, –, –",
		`{"type":"t","to":"` + strings.Repeat("ä", 300) + `","list":{},"amount":null}`:   "to " + strings.Repeat("ä", 200) + "…, {}, –, –, –",
	} {
		list, err := Parse("[" + text + "]")
		if err != nil {
			t.Fatal(err)
		}
		parts, err := parseTemplate("to {to}, {list}, {amount.value}, {amount.o}, {none.x}")
		if err != nil {
			t.Fatal(err)
		}
		if got := fill(parts, list[0].value); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		if whole := indented(list[0].Text); strings.ContainsAny(whole, "\u202e\a") || !strings.Contains(whole, "\n") {
			t.Errorf("%s: %q", text, whole)
		}
	}
	for _, bad := range []string{"", "a {", "a }", "{}", "{a.}", "{a b}", "{a{b}}", "a\nb", "\u202e", strings.Repeat("x", 501)} {
		if parts, err := parseTemplate(bad); err == nil {
			t.Errorf("%q: %v", bad, parts)
		}
	}
}

type world struct {
	*testing.T
	*audittest.Env
	*Registry
}

func run(t *testing.T, fn func(w *world)) {
	t.Helper()
	audittest.Run(t, func(t *testing.T, e *audittest.Env) {
		w := &world{t, e, New(e.DB, e.Log)}
		e.Start(t)
		fn(w)
	})
}

func (w *world) put(version int64, t Type) (*Type, error) {
	w.Helper()
	return w.Put(context.Background(), audittest.By, dbtest.Realm, version, t)
}

func (w *world) check(text string) error {
	w.Helper()
	list, err := Parse(text)
	if err != nil {
		w.Fatal(err)
	}
	return w.Check(context.Background(), dbtest.Realm, list)
}

// TestTypes: details are held to the schema of their type, as it is now.
func TestTypes(t *testing.T) {
	run(t, func(w *world) {
		ctx := context.Background()
		if err := w.check("[" + one20 + "]"); !fault.Is(err, fault.Invalid) {
			w.Errorf("an unknown type: %v", err)
		}
		made, err := w.put(0, Type{Name: "payment", Schema: payment, Words: words})
		if err != nil || made.Version != 1 {
			w.Fatalf("%+v %v", made, err)
		}
		if err := w.check("[" + one20 + "]"); err != nil {
			w.Error(err)
		}
		for text, where := range map[string]string{
			strings.Replace(one20, "1.20", "1.2", 1):                   "authorization_details[0].amount.value ",
			strings.Replace(one20, "EUR", "XXX", 1):                    "authorization_details[0].amount.currency ",
			`{"type":"payment"}`:                                       "authorization_details[0] ",
			strings.Replace(one20, `"to"`, `"x":1,"to"`, 1):            "authorization_details[0] ",
			one20 + `,{"type":"payment","amount":{},"to":"Eve"}`:       "authorization_details[1].amount ",
			one20 + `,{"type":"Payment","amount":{},"to":"Eve"}`:       "authorization_details[1] ",
			strings.Replace(one20, `"Bob"`, `["Bob"]`, 1):              "authorization_details[0].to ",
			strings.Replace(one20, `"1.20"`, `1.20`, 1):                "authorization_details[0].amount.value ",
			strings.Replace(one20, "Bob", strings.Repeat("B", 101), 1): "authorization_details[0].to ",
		} {
			if err := w.check("[" + text + "]"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), where) {
				w.Errorf("%s: %v, want %s", text, err, where)
			}
		}
		list, _ := Parse("[" + one20 + "]")
		for language, want := range map[string]string{"en": "Pay 1.20 EUR to Bob", "de-AT": "1.20 EUR an Bob zahlen", "fr": "Pay 1.20 EUR to Bob"} {
			if got, err := w.Words(ctx, dbtest.Realm, language, list); err != nil || got[0].Text != want || !strings.Contains(got[0].JSON, `"to": "Bob"`) {
				w.Errorf("%s: %v %v", language, got, err)
			}
		}
		if _, err := w.put(7, Type{Name: "payment", Schema: payment, Words: words}); !fault.Is(err, fault.Precondition) {
			w.Errorf("another version: %v", err)
		}
		if _, err := w.put(1, Type{Name: "other", Schema: payment, Words: words}); !fault.Is(err, fault.Precondition) {
			w.Errorf("a version of nothing: %v", err)
		}
		w.Clock.Advance(time.Minute)
		if got, err := w.put(1, Type{Name: "payment", Schema: `{"required":["never"]}`, Words: words}); err != nil || got.Version != 2 || !got.Created.Equal(made.Created) {
			w.Errorf("%+v %v", got, err)
		}
		if err := w.check("[" + one20 + "]"); !fault.Is(err, fault.Invalid) {
			w.Errorf("after the change: %v", err)
		}
		for range 2 {
			if err := w.Delete(ctx, audittest.By, dbtest.Realm, "payment"); err != nil {
				w.Error(err)
			}
		}
		if err := w.Delete(ctx, audittest.By, dbtest.Realm, "never"); !fault.Is(err, fault.NotFound) {
			w.Errorf("one that never was: %v", err)
		}
		if _, err := w.ByName(ctx, dbtest.Realm, "payment"); !fault.Is(err, fault.NotFound) {
			w.Errorf("after its end: %v", err)
		}
		if got, err := w.Words(ctx, dbtest.Realm, "en", list); err != nil || got[0].Text != "payment" {
			w.Errorf("after its end: %v %v", got, err)
		}
		if again, err := w.put(0, Type{Name: "payment", Schema: payment, Words: words}); err != nil || again.Version != 4 || again.Created.Equal(made.Created) {
			w.Errorf("registered again: %+v %v", again, err)
		}
		if err := w.check("[" + one20 + "]"); err != nil {
			w.Error(err)
		}
	})
}

// TestFormatsCount: a schema that names a format means it.
func TestFormatsCount(t *testing.T) {
	schema, err := compile(`{"properties":{"on":{"format":"date"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	for text, bad := range map[string]bool{"2026-11-28": false, "2026-13-28": true, "soon": true} {
		if path, got := misfit(schema, map[string]any{"on": text}); got != bad || bad && strings.Join(path, ".") != "on" {
			t.Errorf("%s: %v %v, want %v", text, path, got, bad)
		}
	}
}

// TestTypesAreChecked: what cannot be used is not registered, and schemas reach
// nothing outside.
func TestTypesAreChecked(t *testing.T) {
	run(t, func(w *world) {
		for field, bad := range map[string]Type{
			"type":     {Name: "a b", Schema: "{}", Words: words},
			"type 2":   {Name: "https://example.com/a", Schema: "{}", Words: words},
			"schema":   {Name: "a", Schema: "{", Words: words},
			"schema 1": {Name: "a", Schema: "true", Words: words},
			"schema 2": {Name: "a", Schema: `{"type":"nonsense"}`, Words: words},
			"schema 3": {Name: "a", Schema: `{"$ref":"https://example.com/schema"}`, Words: words},
			"schema 4": {Name: "a", Schema: `{"$ref":"file:///etc/passwd"}`, Words: words},
			"schema 5": {Name: "a", Schema: `{"pattern":"("}`, Words: words},
			"schema 7": {Name: "a", Schema: `{"pattern":1}`, Words: words},
			"schema 6": {Name: "a", Schema: `{"title":"` + strings.Repeat("x", 17<<10) + `"}`, Words: words},
			"words":    {Name: "a", Schema: "{}"},
			"words 1":  {Name: "a", Schema: "{}", Words: map[string]string{"English": "x"}},
			"words.en": {Name: "a", Schema: "{}", Words: map[string]string{"en": "{"}},
		} {
			field, _, _ = strings.Cut(field, " ")
			_, err := w.put(0, bad)
			f, ok := err.(*fault.Error)
			if !ok || f.Fields[field] == "" {
				w.Errorf("%s of %+v: %v", field, bad, err)
			}
		}
		for i := range maxTypes {
			if _, err := w.put(0, Type{Name: "t" + strconv.Itoa(i), Schema: "{}", Words: words}); err != nil {
				w.Fatal(err)
			}
		}
		if _, err := w.put(0, Type{Name: "more", Schema: "{}", Words: words}); !fault.Is(err, fault.Conflict) {
			w.Errorf("one more: %v", err)
		}
		if _, err := w.put(0, Type{Name: "t1", Schema: `{"title":"x"}`, Words: words}); err != nil {
			w.Errorf("one of them again: %v", err)
		}
	})
}

// FuzzParse reads authorization_details: what is accepted means the same when
// it is written again, and is within the bounds.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"[" + one20 + "]", `[{"type":"a","x":1e400}]`, `[{"type":"a","x":-0.0}]`, `[{"type":"\u0000"}]`, `[{"type":"a"}],"b":1`, "[]", "null", `[{"type":"<&>\u2028"}]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse(text)
		if err != nil {
			return
		}
		if len(list) == 0 || len(list) > MaxDetails {
			t.Fatalf("%q: %d details", text, len(list))
		}
		spelled := list.String()
		if len(spelled) > MaxBytes {
			return // what is escaped otherwise may be longer
		}
		again, err := Parse(spelled)
		if err != nil || again.String() != spelled {
			t.Fatalf("%q: %q, then %q %v", text, spelled, again.String(), err)
		}
		if at, ok := again.Among(list); !ok || len(at) != len(list) {
			t.Fatalf("%q is not what it is", text)
		}
		for _, d := range list {
			indented(d.Text)
			fill([]part{{path: []string{"type"}}, {path: []string{"x", "y"}}}, d.value)
		}
	})
}
