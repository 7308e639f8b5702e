package account

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/realm"
)

// helpPage gives advice: the operator's where there is some, else ours.
type helpPage struct {
	frame
	Topics []topic
}

// topic is advice on one thing. Its text is shown as it is, never as markup.
type topic struct {
	Name, Title string
	Paragraphs  []string
}

func (s *Server) help(w http.ResponseWriter, r *http.Request, v *visit) error {
	p := helpPage{frame: s.begin(w, r, v, "account.help")}
	for _, name := range realm.AdviceTopics() {
		text := v.realm.Settings.Advice(p.Tag(), name)
		if text == "" {
			text = p.T("help."+name, "realm", p.Site.Name)
		}
		t := topic{Name: name, Title: p.T("help." + name + ".title")}
		for paragraph := range strings.SplitSeq(text, "\n\n") {
			if paragraph = strings.TrimSpace(paragraph); paragraph != "" {
				t.Paragraphs = append(t.Paragraphs, paragraph)
			}
		}
		p.Topics = append(p.Topics, t)
	}
	return s.look.Render(w, http.StatusOK, "help", p)
}
