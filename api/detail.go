package api

import "time"

// AuthorizationDetailType is a type of authorization details (RFC 9396).
type AuthorizationDetailType struct {
	Type      string    `json:"type"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	AuthorizationDetailTypePut
}

// AuthorizationDetailTypePut says what a detail must look like, and how people
// are told what it asks for.
type AuthorizationDetailTypePut struct {
	Schema string            `json:"schema" maxLength:"16384" doc:"JSON Schema of a detail, JSON in a string. It stands alone: what it refers to is in it."`
	Words  map[string]string `json:"words" doc:"Texts for the consent page by language tag, with members in braces: Pay {amount.value} {amount.currency} to {creditor}."`
}
