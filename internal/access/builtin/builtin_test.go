package builtin

import (
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/policy"
)

func own(text string) []policy.File {
	return []policy.File{{Name: "cardea/own.cedar", Text: []byte(text)}}
}

func TestWhatARealmAddsCanOnlyForbid(t *testing.T) {
	if _, err := Alone(); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`@id("x") permit (principal, action, resource);`:                                             "cardea/own.cedar:1:1: policy \"x\": a policy about Cardea's own operations can only forbid",
		`@id("Cardea::x") forbid (principal, action, resource);`:                                     "belong to the built-in policies",
		`@id("x") forbid (principal, action == Cardea::Action::"fly", resource);`:                    "fly",
		`@id("x") forbid (principal, action, resource == document::"1");`:                            "document",
		`@id("x") forbid (principal, action, resource) when { context.role == 7 };`:                  "cardea/own.cedar",
		`@id("x") forbid (principal, action in Cardea::Action::"users.read", resource);`:             "",
		`@id("x") @step_up("aal3") forbid (principal, action, resource) unless { context has acr };`: "",
	} {
		_, err := Compile(own(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// A lockout is said only where no way was found; what policies ask for is among
// the ways that are tried.
func TestAWayIsFoundWhereThereIsOne(t *testing.T) {
	for text, want := range map[string]bool{
		`@id("x") forbid (principal, action, resource);`:                                                                                                   false,
		`@id("x") forbid (principal, action in [Cardea::Action::"apply-policy", Cardea::Action::"rollback-policy"], resource);`:                            false,
		`@id("x") forbid (principal, action in Cardea::Action::"policies.write", resource) unless { context.role == "admin" };`:                            false,
		`@id("x") forbid (principal, action == Cardea::Action::"apply-policy", resource);`:                                                                 true,
		`@id("x") forbid (principal, action, resource) unless { context has ip && context.ip.isInRange(ip("10.9.0.0/16")) };`:                              true,
		`@id("x") forbid (principal, action, resource) unless { context has acr && context.acr == "urn:example:gold" };`:                                   true,
		`@id("x") forbid (principal, action, resource) unless { principal in group::"grp_1" };`:                                                            true,
		`@id("x") forbid (principal, action, resource) when { principal in group::"grp_1" };`:                                                              true,
		`@id("x") forbid (principal, action, resource) unless { principal == user::"usr_1" };`:                                                             true,
		`@id("x") forbid (principal, action, resource) unless { principal is service };`:                                                                   true,
		`@id("x") forbid (principal, action, resource) unless { context has client && context.client == "cli_1" };`:                                        true,
		`@id("x") forbid (principal, action, resource) unless { context.now.toTime() < duration("1h") };`:                                                  true,
		`@id("x") forbid (principal, action, resource) unless { context.now > datetime("2030-01-01") };`:                                                   true,
		`@id("x") forbid (principal, action, resource) unless { context has amr && context.amr.contains("face") && context.realm == "acme" };`:             true,
		`@id("x") forbid (principal, action, resource) unless { context has auth_time && context.now.durationSince(context.auth_time) < duration("5m") };`: true,
	} {
		set, err := Compile(own(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := WaysOf(own(text)).Anybody(set); got != want {
			t.Errorf("%s: a way is found: %v", text, got)
		}
	}
}

func TestCardeasNamesAreReserved(t *testing.T) {
	for name, want := range map[string]bool{"Cardea": true, "Cardea::Realm": true, "Cardea::a::b": true, "Cardeas": false, "my::Cardea": false, "cardea::x": false, "": false} {
		if Reserved(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
