package realm

import (
	"errors"
	"regexp"
	"strings"
	"time"
)

// What callers of the decision service are told: whether, also why, or also by
// which relations.
const (
	DetailNone    = "none"
	DetailReasons = "reasons"
	DetailFull    = "full"
)

var accessFields = []Field{
	duration("decision_log", "How long decisions of the policies are kept with what they rested on; 0s: none is written down.", 30*day, 0, 800*day, func(s *Settings) *time.Duration { return &s.DecisionLog }),
	{Name: "decision_log_masked", Help: "Values that are left out of the decision log, by names that begin with subject, action, resource or context, such as context.ip, or none. A decision without a value that its policies read cannot be replayed.", Kind: "list", Default: None,
		pattern: words, check: checkMasked, text: func(s *Settings) *string { return &s.DecisionLogMasked }},
	{Name: "decision_detail", Help: "What callers of the decision service are told beside yes and no: none, reasons (and policies) or full (also the relations).", Kind: "text", Default: DetailReasons,
		pattern: regexp.MustCompile(`^(none|reasons|full)$`), text: func(s *Settings) *string { return &s.DecisionDetail }},
}

func checkMasked(text string) error {
	if text == None {
		return nil
	}
	for word := range strings.FieldsSeq(text) {
		of, name, _ := strings.Cut(word, ".")
		if name == "" || !strings.Contains(" subject action resource context ", " "+of+" ") {
			return errors.New("each name must begin with subject, action, resource or context, and a dot")
		}
	}
	return nil
}

// Masked are the names in DecisionLogMasked, separated by spaces, "" for none.
func (s *Settings) Masked() string {
	if s.DecisionLogMasked == None {
		return ""
	}
	return s.DecisionLogMasked
}
