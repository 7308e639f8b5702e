package life

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
)

// ExportMost bounds how many items of one section are exported.
const ExportMost = 10_000

// exportPage is how many are read at a time.
const exportPage = 500

// Section is a list in what a person takes along.
type Section struct {
	Name string
	// List calls item with one value after the other, until that fails.
	List func(ctx context.Context, realm, person string, item func(v any) error) error
}

// full ends a section that has ExportMost items.
type full struct{}

func (full) Error() string { return "section full" }

// Export writes what is kept about a person as one JSON object (GDPR, article
// 20), a page at a time: what is not secret, and what of it is about others only
// as far as it concerns them. A section with more than ExportMost items ends
// there, and says so.
func (d *Desk) Export(ctx context.Context, w io.Writer, r *realm.Realm, id string) error {
	p, err := d.People.ByID(ctx, r.Name, id)
	if err != nil {
		return err
	}
	e := &export{w: w}
	e.text("{")
	e.field("issuer", r.Issuer)
	e.field("exported_at", d.DB.Now())
	e.field("profile", profileOf(p))
	for _, s := range append(d.sections(), d.Further...) {
		if err := e.section(ctx, s, r.Name, id); err != nil {
			return err
		}
	}
	e.text("\n}\n")
	return e.err
}

// export is JSON on its way out.
type export struct {
	w    io.Writer
	more bool
	err  error
}

func (e *export) text(s string) {
	if e.err == nil {
		_, e.err = io.WriteString(e.w, s)
	}
}

func (e *export) value(v any) {
	if e.err != nil {
		return
	}
	text, err := json.Marshal(v)
	if err != nil {
		e.err = err
		return
	}
	e.text(string(text))
}

func (e *export) name(name string) {
	if e.more {
		e.text(",")
	}
	e.more = true
	e.text("\n  ")
	e.value(name)
	e.text(": ")
}

func (e *export) field(name string, v any) {
	e.name(name)
	e.value(v)
}

func (e *export) section(ctx context.Context, s Section, realm, person string) error {
	e.name(s.Name)
	e.text("[")
	n := 0
	err := s.List(ctx, realm, person, func(v any) error {
		if n == ExportMost {
			return full{}
		}
		if n > 0 {
			e.text(",")
		}
		n++
		e.text("\n    ")
		e.value(v)
		return e.err
	})
	_, over := err.(full)
	if err != nil && !over {
		return err
	}
	e.text("]")
	if over {
		e.field(s.Name+"_incomplete", true)
	}
	return e.err
}

func (d *Desk) sections() []Section {
	return []Section{
		{"sessions", d.exportSessions},
		{"applications", d.exportGrants},
		{"consents", d.exportConsents},
		{"events", d.exportEvents},
		{"refused_signins", d.exportRefusals},
	}
}

type exportedEmail struct {
	Address  string `json:"address"`
	Verified bool   `json:"verified"`
	Primary  bool   `json:"primary"`
}

type exportedProfile struct {
	ID          string            `json:"id"`
	Username    string            `json:"username,omitempty"`
	DisplayName string            `json:"display_name,omitempty"`
	Locale      string            `json:"locale,omitempty"`
	Emails      []exportedEmail   `json:"emails"`
	Claims      principal.Profile `json:"claims"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
}

func profileOf(p *principal.Principal) exportedProfile {
	out := exportedProfile{ID: p.ID, Username: p.Name, DisplayName: p.DisplayName, Locale: p.Locale, Claims: p.Profile, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Emails: []exportedEmail{}}
	for _, e := range p.Emails {
		out.Emails = append(out.Emails, exportedEmail(e))
	}
	return out
}

func (d *Desk) exportSessions(ctx context.Context, realm, person string, item func(any) error) error {
	type exported struct {
		ID        string     `json:"id"`
		Signed    time.Time  `json:"signed_in_at"`
		Seen      time.Time  `json:"last_seen_at"`
		Ended     *time.Time `json:"ended_at,omitempty"`
		IP        string     `json:"ip,omitempty"`
		UserAgent string     `json:"user_agent,omitempty"`
		AMR       []string   `json:"amr,omitempty"`
	}
	return paged(func(after string) ([]*session.Session, string, error) {
		return d.Sessions.List(ctx, realm, session.Filter{Principal: person}, after, exportPage)
	}, func(s *session.Session) error {
		return item(exported{s.ID, s.AuthTime, s.LastSeenAt, some(s.EndedAt), s.IP, s.UserAgent, s.AMR})
	})
}

func (d *Desk) exportGrants(ctx context.Context, realm, person string, item func(any) error) error {
	type exported struct {
		ID       string     `json:"id"`
		Client   string     `json:"client"`
		Scopes   []string   `json:"scopes"`
		Audience []string   `json:"audience,omitempty"`
		Created  time.Time  `json:"created_at"`
		Expires  *time.Time `json:"expires_at,omitempty"`
		Revoked  *time.Time `json:"revoked_at,omitempty"`
	}
	return paged(func(after string) ([]*grant.Grant, string, error) {
		return d.Grants.List(ctx, realm, grant.Filter{Principal: person, After: after}, exportPage)
	}, func(g *grant.Grant) error {
		return item(exported{g.ID, g.Client, g.Scopes, g.Audience, g.Created, some(g.Expires), some(g.Revoked)})
	})
}

func (d *Desk) exportConsents(ctx context.Context, realm, person string, item func(any) error) error {
	type exported struct {
		Client  string    `json:"client"`
		Scopes  []string  `json:"scopes"`
		Created time.Time `json:"created_at"`
		Updated time.Time `json:"updated_at"`
	}
	return paged(func(after string) ([]*grant.Consent, string, error) {
		return d.Grants.Consents(ctx, realm, grant.Filter{Principal: person, After: after}, exportPage)
	}, func(c *grant.Consent) error { return item(exported{c.Client, c.Scopes, c.Created, c.Updated}) })
}

// exportEvents tells what was done to a person, and then what else they did. Of
// others who did something it says what they are and not who.
func (d *Desk) exportEvents(ctx context.Context, realm, person string, item func(any) error) error {
	type exported struct {
		ID     string    `json:"id"`
		At     time.Time `json:"at"`
		Action string    `json:"action"`
		Target string    `json:"target,omitempty"`
		By     string    `json:"by"`
		IP     string    `json:"ip,omitempty"`
	}
	for _, f := range []audit.Filter{{Target: person}, {Actor: person}} {
		err := paged(func(before string) ([]audit.Record, string, error) {
			f.Before, f.Limit = before, exportPage
			return d.Log.Query(ctx, realm, f)
		}, func(r audit.Record) error {
			if f.Actor != "" && r.Target == person {
				return nil
			}
			e := exported{ID: r.ID, At: r.At, Action: r.Action, Target: r.Target, By: r.Actor.Kind}
			if r.Actor.ID == person {
				e.By, e.IP = "you", r.Actor.IP
			}
			return item(e)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// exportRefusals tells what was tried in vain on a person's account.
func (d *Desk) exportRefusals(ctx context.Context, realm, person string, item func(any) error) error {
	type exported struct {
		Factor    string    `json:"factor,omitempty"`
		IP        string    `json:"ip,omitempty"`
		UserAgent string    `json:"user_agent,omitempty"`
		Count     int64     `json:"count"`
		First     time.Time `json:"first_at"`
		Last      time.Time `json:"last_at"`
	}
	all, err := d.Log.Refusals(ctx, realm, person, time.Time{}, d.DB.Now().Add(time.Minute))
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := item(exported(r)); err != nil {
			return err
		}
	}
	return nil
}

// paged calls item with everything on all pages.
func paged[T any](read func(after string) ([]T, string, error), item func(T) error) error {
	for after := ""; ; {
		page, next, err := read(after)
		if err != nil {
			return err
		}
		for _, v := range page {
			if err := item(v); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
