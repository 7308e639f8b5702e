package account

import (
	"time"

	"github.com/cardea-id/cardea/internal/web/look"
)

// moment is a time as people read it, and as machines do.
type moment struct{ Words, Exact, Machine string }

// moment tells of the last days how long ago something was, and of earlier ones
// the date.
func (s *Server) moment(p *look.Page, at time.Time) moment {
	if at.IsZero() {
		return moment{}
	}
	m := moment{Exact: at.UTC().Format(p.T("date.exact")), Machine: at.UTC().Format(time.RFC3339)}
	switch ago := s.DB.Now().Sub(at); {
	case ago < time.Minute:
		m.Words = p.T("ago.now")
	case ago < time.Hour:
		m.Words = p.T("ago.minutes", "n", int(ago/time.Minute))
	case ago < 24*time.Hour:
		m.Words = p.T("ago.hours", "n", int(ago/time.Hour))
	case ago < 14*24*time.Hour:
		m.Words = p.T("ago.days", "n", int(ago/(24*time.Hour)))
	default:
		m.Words = at.UTC().Format(p.T("date.day"))
	}
	return m
}
