package folder

import "testing"

func TestLayoutOfPolicies(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`permit(principal,action,resource);`, "permit (principal, action, resource);\n"},
		{"// who\n\n// what\n@id( \"a\" )permit(principal is user,action==Action::\"read\",resource)when{resource.a>-1&&!(context has b)};//end\n//tail",
			"// who\n\n// what\n@id(\"a\")\npermit (principal is user, action == Action::\"read\", resource)\nwhen { resource.a > -1 && !(context has b) }; //end\n//tail\n"},
		{"forbid (principal, action in [Action::\"a\",Action::\"b\"], resource) unless { // why\n context.acr == \"aal2\" || // first\n // second\n resource[\"x\"].containsAny([1 , 2]) };",
			"forbid (principal, action in [Action::\"a\", Action::\"b\"], resource)\nunless { // why\n  context.acr == \"aal2\" || // first\n  // second\n  resource[\"x\"].containsAny([1, 2])\n};\n"},
		{`permit(principal,action,resource)when{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb==1&&(cccccccccccccccccccccccccccccccccccccccccccccccc||d)&&if x then y else z};`,
			"permit (principal, action, resource)\nwhen {\n  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb == 1 &&\n  (cccccccccccccccccccccccccccccccccccccccccccccccc || d) &&\n  if x\n  then y\n  else z\n};\n"},
	} {
		got, problem := LayoutCedar("p.cedar", c.in)
		if problem != nil || got != c.want {
			t.Errorf("layout of\n%s\nis\n%s\nwant\n%s\n%v", c.in, got, c.want, problem)
		}
		if again, _ := LayoutCedar("p.cedar", got); again != got {
			t.Errorf("laid out again it is\n%s\nafter\n%s", again, got)
		}
	}
}

func TestLayoutOfSchemas(t *testing.T) {
	in := "namespace App{\n// people\nentity user in[group]={name:String,\n@stored(\"x\")\nage?:Long, tags:Set<String>}tags Set < String >;\nentity group;\nentity b enum[\"x\",\"y\"];\n\naction read,\"write it\"appliesTo{principal:[user],resource:[doc],context:{}};type T={};}"
	want := `namespace App {
  // people
  entity user in [group] = {
    name: String,
    @stored("x")
    age?: Long,
    tags: Set<String>
  } tags Set<String>;

  entity group;
  entity b enum ["x", "y"];

  action read, "write it" appliesTo {
    principal: [user],
    resource: [doc],
    context: {}
  };

  type T = {};
}
`
	got, problem := LayoutCedar("schema.cedarschema", in)
	if problem != nil || got != want {
		t.Fatalf("got\n%s\nwant\n%s\n%v", got, want, problem)
	}
	if again, _ := LayoutCedar("schema.cedarschema", got); again != got {
		t.Errorf("again:\n%s", again)
	}
}
