package realm

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostAdvice is how long one text may be, in code points.
const mostAdvice = 2000

// AdviceTopics are what people are given advice on.
func AdviceTopics() []string { return []string{"password", "passkey", "phishing", "report"} }

// Advice is what operators tell people on a topic in a language, in plain text,
// or "" where the product's own words are to be used. An empty line begins a
// paragraph.
func (s *Settings) Advice(language, topic string) string {
	all, err := parseAdvice(s.AdviceTexts)
	if err != nil {
		return ""
	}
	return all[language][topic]
}

// parseAdvice reads texts by language and topic.
func parseAdvice(text string) (map[string]map[string]string, error) {
	var all map[string]map[string]string
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, errors.New(`must be JSON such as {"en": {"report": "Call 1234."}}`)
	}
	return all, nil
}

func checkAdvice(text string) error {
	all, err := parseAdvice(text)
	if err != nil {
		return err
	}
	for language, topics := range all {
		for topic, words := range topics {
			if !slices.Contains(AdviceTopics(), topic) {
				return fmt.Errorf("%q is none of %s", topic, strings.Join(AdviceTopics(), ", "))
			}
			odd := func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }
			if len(language) > 35 || !utf8.ValidString(words) || utf8.RuneCountInString(words) > mostAdvice || strings.ContainsFunc(words, odd) {
				return fmt.Errorf("%s in %q has at most %d printable characters", topic, language, mostAdvice)
			}
		}
	}
	return nil
}
