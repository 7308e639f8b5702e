package console

// sentence is one of the core: in the words of the page where it is a fixed one,
// and as it is, in English, where a compiler or the facts wrote it.
type sentence struct {
	Text string
	Ours bool
}

// Core is a sentence of the core for this page.
func (f frame) Core(text string) sentence {
	if key, ok := fixed[text]; ok {
		return sentence{f.T(key), true}
	}
	return sentence{Text: text}
}

// Fixed reports whether a sentence is a fixed one of the core, and not of whoever
// wrote a policy.
func (f frame) Fixed(text string) bool { return fixed[text] != "" }

// fixed are the sentences of the core that are always the same.
var fixed = map[string]string{
	"no policy permits this":                                       "console.core.unpermitted",
	"the question cannot be judged":                                "console.core.unjudged",
	"a policy that permits could not be judged":                    "console.core.permit.unjudged",
	"a policy that forbids could not be judged":                    "console.core.forbid.unjudged",
	"there is no schema":                                           "console.core.schema",
	"declare the types of entities and the actions there":          "console.core.schema.do",
	"this is not text in UTF-8":                                    "console.core.utf8",
	"save it as UTF-8 without control characters":                  "console.core.utf8.do",
	"the file is there twice":                                      "console.core.twice",
	"split it":                                                     "console.core.split.do",
	"take out what is not needed":                                  "console.core.large.do",
	"the name cannot be used":                                      "console.core.name",
	"use letters, digits, dots, dashes and underscores":            "console.core.name.do",
	"the path is too long":                                         "console.core.path",
	"use at most 200 characters and 5 folders":                     "console.core.path.do",
	"a policy folder has no such file":                             "console.core.nofile",
	"ids that begin with Cardea:: belong to the built-in policies": "console.core.reserved",
	"choose another @id":                                           "console.core.reserved.do",
	"these policies lock everybody out: no owner could change policies any more, in no sign-in, network or time that was tried": "console.core.lockout",
	"a text is not closed":                     "console.core.open.text",
	"the file does not begin with its package": "console.core.package",
	"write it as YAML":                         "console.core.yaml.do",
	"repair those above first":                 "console.core.first.do",
}
