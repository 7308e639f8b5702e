package api

import "time"

// Terms is one version of a document that people must accept. It never changes.
type Terms struct {
	ID          string     `json:"id" example:"trm_01k9zq3v5f8m2xw7c4n6b0t1ha"`
	Document    string     `json:"document" doc:"What it is a version of, such as terms or privacy."`
	Version     string     `json:"version"`
	Title       string     `json:"title"`
	Link        string     `json:"link,omitempty"`
	Text        string     `json:"text,omitempty"`
	EffectiveAt time.Time  `json:"effective_at" doc:"Since when it is in force, unless a later version is."`
	WithdrawnAt *time.Time `json:"withdrawn_at,omitempty"`
	CreatedAt   time.Time  `json:"created_at"`
}

// TermsCreate makes a version of a document. It has a link or a text.
type TermsCreate struct {
	Document    string     `json:"document" maxLength:"32" example:"terms"`
	Version     string     `json:"version" maxLength:"32" example:"2026-11"`
	Title       string     `json:"title" maxLength:"500"`
	Link        string     `json:"link,omitempty" maxLength:"1000" doc:"https address where it can be read."`
	Text        string     `json:"text,omitempty" maxLength:"100000" doc:"What it says, as plain text."`
	EffectiveAt *time.Time `json:"effective_at,omitempty" doc:"When it comes into force; at once where it is absent."`
}

// TermsAcceptance is that a user accepted a version.
type TermsAcceptance struct {
	User       string    `json:"user"`
	Terms      string    `json:"terms"`
	AcceptedAt time.Time `json:"accepted_at"`
}
