package account

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web/look"
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

// advicePage is the same for whoever is not signed in: who is locked out needs it most.
type advicePage struct {
	*look.Page
	Topics []topic
}

func (s *Server) help(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	in := false
	if v != nil {
		if in, err = s.Pages.Suffices(r, v.Session, signin.Flow{Return: pathHelp, Subject: v.Principal}); err != nil {
			return err
		}
	}
	if !in {
		p := advicePage{Page: s.look.Page(w, r, signin.SiteOf(r), "", "")}
		p.Title, p.Wide, p.Topics = p.T("account.help"), true, topics(r, p.Page)
		return s.look.Render(w, http.StatusOK, "advice", p)
	}
	p := helpPage{frame: s.begin(w, r, v, "account.help")}
	p.Topics = topics(r, p.Page)
	return s.look.Render(w, http.StatusOK, "help", p)
}

func topics(r *http.Request, p *look.Page) (all []topic) {
	re := realm.From(r.Context())
	for _, name := range realm.AdviceTopics() {
		if name == "password" && !passwordsCount(re) {
			continue // nobody is told of what does not count
		}
		text := re.Settings.Advice(p.Tag(), name)
		if text == "" {
			text = p.T("help."+name, "realm", p.Site.Name)
		}
		t := topic{Name: name, Title: p.T("help." + name + ".title")}
		for paragraph := range strings.SplitSeq(text, "\n\n") {
			if paragraph = strings.TrimSpace(paragraph); paragraph != "" {
				t.Paragraphs = append(t.Paragraphs, paragraph)
			}
		}
		all = append(all, t)
	}
	return all
}
