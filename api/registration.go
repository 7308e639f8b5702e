package api

import "time"

// InitialAccessToken lets somebody register clients at the registration
// endpoint (RFC 7591, section 3).
type InitialAccessToken struct {
	ID        string     `json:"id" doc:"Names the token without being it."`
	Name      string     `json:"name,omitempty" doc:"A label for operators."`
	Uses      int64      `json:"uses" doc:"How many clients were registered with it."`
	MaxUses   int64      `json:"max_uses" doc:"How many may be."`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// InitialAccessTokenCreate makes an initial access token.
type InitialAccessTokenCreate struct {
	Name      string `json:"name,omitempty" maxLength:"120"`
	Uses      int64  `json:"uses" minimum:"1" maximum:"100000" doc:"How many clients may be registered with it."`
	ExpiresIn int64  `json:"expires_in" minimum:"1" maximum:"31622400" doc:"Seconds until it ends."`
}

// InitialAccessTokenCreated is an initial access token that was just made.
type InitialAccessTokenCreated struct {
	InitialAccessToken
	Token string `json:"token" doc:"Shown in this answer only."`
}
