package api

import "time"

// Session is a signed-in browser or device.
type Session struct {
	ID         string     `json:"id"`
	User       string     `json:"user"`
	ACR        string     `json:"acr,omitempty" doc:"How well the user proved who they are."`
	AMR        []string   `json:"amr,omitempty" nullable:"false" doc:"How (RFC 8176)."`
	SignedInAt time.Time  `json:"signed_in_at"`
	LastSeenAt time.Time  `json:"last_seen_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	EndedAt    *time.Time `json:"ended_at,omitempty"`
	EndReason  string     `json:"end_reason,omitempty"`
	IP         string     `json:"ip,omitempty" doc:"Where the user signed in from."`
	UserAgent  string     `json:"user_agent,omitempty"`
}

// Grant is what was allowed to whom.
type Grant struct {
	ID           string     `json:"id"`
	Kind         string     `json:"kind" doc:"authorization: a person let a client act; standing: a client acts for itself; exchange: a client showed a token or an assertion"`
	Principal    string     `json:"principal" doc:"Who is acted for."`
	Client       string     `json:"client" doc:"Who acts."`
	Session      string     `json:"session,omitempty"`
	Parent       string     `json:"parent,omitempty" doc:"The grant whose token was exchanged."`
	Actor        string     `json:"actor,omitempty" doc:"Who acts for the principal, if not the client itself."`
	Scopes       []string   `json:"scopes" nullable:"false"`
	Audience     []string   `json:"audience,omitempty" nullable:"false"`
	Details      string     `json:"authorization_details,omitempty" doc:"What was granted in detail (RFC 9396), JSON in a string."`
	Offline      bool       `json:"offline,omitempty" doc:"It outlives the session it came of."`
	CreatedAt    time.Time  `json:"created_at"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"Absent for one that lasts until it is revoked."`
	RevokedAt    *time.Time `json:"revoked_at,omitempty"`
	RevokeReason string     `json:"revoke_reason,omitempty"`
}

// Consent is what a user agreed to let a client have.
type Consent struct {
	User      string    `json:"user"`
	Client    string    `json:"client"`
	Scopes    []string  `json:"scopes" nullable:"false"`
	GivenAt   time.Time `json:"given_at"`
	UpdatedAt time.Time `json:"updated_at"`
}
