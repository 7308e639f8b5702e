package letter

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/device"
	"github.com/cardea-id/cardea/internal/mail"
	"github.com/cardea-id/cardea/internal/realm"
)

// Mail programs load no style sheet, so a letter, which is no page of ours, has
// its styles in it.
//
//go:embed letter.mail
var files embed.FS

// paper is what every letter is written on.
type paper struct{ html *template.Template }

func newPaper() (*paper, error) {
	t, err := template.ParseFS(files, "letter.mail")
	return &paper{t}, err
}

// sheet is a letter with its words. Text and HTML are made of the same one.
type sheet struct {
	Language, Brand, Subject string
	Hello                    string
	Text                     []string // paragraphs
	Code                     string
	Button                   *button
	Copy                     string // says that the address below can be copied
	Expires                  string
	Facts                    []fact
	Ignore                   string
	NotMe                    string
	Account                  *button // what somebody does about it who was not it
	Foot                     []string
}

type button struct{ Label, URL string }

// countries are names of Data that hold the codes of countries (ISO 3166-1).
var countries = []string{"country", "from", "to"}

type fact struct{ Label, Value string }

// write puts a letter into words.
func (l *Letters) write(re *realm.Realm, w written) (mail.Message, error) {
	k, ok := kinds[w.Kind]
	if !ok {
		return mail.Message{}, fmt.Errorf("this node knows no letter %q", w.Kind)
	}
	words := l.Words.Match(w.Locale, re.Settings.DefaultLanguage)
	s := sheet{Language: words.Tag(), Brand: re.DisplayName, Code: w.Code}
	args := []any{"realm", re.DisplayName}
	for name, v := range w.Data {
		switch {
		case slices.Contains(countries, name):
			v = words.Country(v)
		case name == "device":
			v = l.shown(words, name, v)
		}
		args = append(args, name, v)
	}
	say := func(key string) string { return words.T("letter."+w.Kind+"."+key, args...) }
	s.Subject = plain(say("subject"))
	s.Hello = words.T("letter.hello")
	if w.Name != "" {
		s.Hello = words.T("letter.hello.name", "name", w.Name)
	}
	s.Text = append(s.Text, say("text"))
	if k.more {
		s.Text = append(s.Text, say("more"))
	}
	for _, name := range k.spoken {
		if key := w.Data[name]; words.Has(key) {
			s.Text = append(s.Text, words.T(key, args...))
		}
	}
	if w.Link != "" {
		s.Button, s.Copy = &button{say("button"), re.Issuer + w.Link}, words.T("letter.copy")
	}
	if k.expires {
		s.Expires = lasts(words, w.Life)
	}
	at := time.UnixMilli(w.At)
	if len(k.facts) > 0 {
		s.Facts = append(s.Facts, fact{words.T("letter.fact.when"), moment(words, at, w.Zone)})
	}
	for _, name := range k.facts {
		if v := w.Data[name]; v != "" {
			s.Facts = append(s.Facts, fact{words.T("letter.fact." + name), l.fact(words, name, v, w.Zone)})
		}
	}
	if k.ignore {
		s.Ignore = words.T("letter.ignore")
	}
	if k.notMe {
		s.NotMe, s.Account = words.T("letter.notme"), &button{words.T("letter.notme.button"), re.Issuer + "/"}
		if w.NotMe != "" {
			s.Account.URL = re.Issuer + w.NotMe
		}
	}
	s.Foot = append(s.Foot, words.T("letter.foot", "realm", re.DisplayName, "site", host(re.Issuer)))
	for line := range strings.SplitSeq(re.Settings.MailFooter, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			s.Foot = append(s.Foot, line)
		}
	}
	var html bytes.Buffer
	if err := l.paper.html.Execute(&html, s); err != nil {
		return mail.Message{}, err
	}
	return mail.Message{To: w.To, Sender: re.DisplayName, ReplyTo: re.Settings.MailReplyTo, Subject: s.Subject, Text: s.plain(), HTML: html.String(),
		Language: words.Tag(), Date: at}, nil
}

// fact is an argument as it stands beside its name.
func (l *Letters) fact(words *i18n.Locale, name, v, zone string) string {
	if at, err := time.Parse(time.RFC3339, v); name == "until" && err == nil {
		return moment(words, at, zone)
	}
	return l.shown(words, name, v)
}

// shown is an argument in words: of browsers and factors, letters are given what
// they are, not what they are called. A browser says what it likes, and strangers
// have letters sent, so nothing of it is repeated.
func (l *Letters) shown(words *i18n.Locale, name, v string) string {
	switch name {
	case "device":
		return device.Of(v).Words(words.T)
	case "factor":
		var all []string
		for kind := range strings.SplitSeq(v, " ") {
			key := "letter.factor." + kind
			if !words.Has(key) {
				key = "letter.factor.other"
			}
			all = append(all, words.T(key))
		}
		return strings.Join(all, ", ")
	}
	return v
}

// plain is the letter as text.
func (s sheet) plain() string {
	var b strings.Builder
	part := func(text string) {
		if text != "" {
			b.WriteString(wrapped(text))
			b.WriteString("\n\n")
		}
	}
	part(s.Hello)
	for _, p := range s.Text {
		part(p)
	}
	if s.Code != "" {
		part("    " + s.Code)
	}
	if s.Button != nil {
		part(s.Button.Label + ":\n" + s.Button.URL)
	}
	part(s.Expires)
	var facts []string
	for _, f := range s.Facts {
		facts = append(facts, f.Label+": "+f.Value)
	}
	part(strings.Join(facts, "\n"))
	part(s.Ignore)
	part(s.NotMe)
	if s.Account != nil {
		part(s.Account.Label + ":\n" + s.Account.URL)
	}
	b.WriteString("-- \n" + wrapped(strings.Join(s.Foot, "\n")) + "\n")
	return b.String()
}

// lineWidth is how long lines of text are, at most, but for single words.
const lineWidth = 72

// wrapped breaks lines between words. Lines that hold an address stay whole.
func wrapped(text string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Contains(line, "://") || strings.HasPrefix(line, " ") {
			out = append(out, line)
			continue
		}
		at := ""
		for word := range strings.FieldsSeq(line) {
			switch {
			case at == "":
				at = word
			case utf8.RuneCountInString(at)+1+utf8.RuneCountInString(word) > lineWidth:
				out, at = append(out, at), word
			default:
				at += " " + word
			}
		}
		out = append(out, at)
	}
	return strings.Join(out, "\n")
}

// lasts says how long something is good.
func lasts(words *i18n.Locale, life time.Duration) string {
	switch {
	case life >= 48*time.Hour:
		return words.T("letter.lasts.days", "n", int(life/(24*time.Hour)))
	case life >= 2*time.Hour:
		return words.T("letter.lasts.hours", "n", int(life/time.Hour))
	}
	return words.T("letter.lasts.minutes", "n", max(1, int((life+time.Minute-1)/time.Minute)))
}

// moment is an instant in the person's time zone, or in UTC.
func moment(words *i18n.Locale, at time.Time, zone string) string {
	place, err := time.LoadLocation(zone) // "" is UTC
	if err != nil || zone == "Local" {
		place = time.UTC
	}
	return at.In(place).Format(words.T("letter.time"))
}

func host(issuer string) string {
	_, rest, _ := strings.Cut(issuer, "://")
	return rest
}
