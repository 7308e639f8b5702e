package api

import "time"

// TrustedIssuer is somebody whose statements about people and services count in
// the realm.
type TrustedIssuer struct {
	ID        string    `json:"id"`
	Relaxed   []string  `json:"relaxed,omitempty" nullable:"false" doc:"What this issuer is allowed beyond the strict defaults."`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	TrustedIssuerSettings
}

// TrustedIssuerSettings is what an operator decides about a trusted issuer.
type TrustedIssuerSettings struct {
	Name        string   `json:"name,omitempty" maxLength:"200" doc:"A label for people; the issuer if empty."`
	Issuer      string   `json:"issuer" maxLength:"500" doc:"The iss of its tokens, exactly. It never changes."`
	JWKS        string   `json:"jwks,omitempty" maxLength:"65536" doc:"Its public keys as a JWK set, JSON in a string."`
	JWKSURI     string   `json:"jwks_uri,omitempty" maxLength:"2000" doc:"Or where they are; give one of the two."`
	Algorithms  []string `json:"algorithms,omitempty" maxItems:"50" nullable:"false" doc:"How its tokens may be signed: ES256, RS256, PS256 or EdDSA; all of them if empty."`
	Uses        []string `json:"uses,omitempty" maxItems:"50" nullable:"false" doc:"For what its word counts: token_exchange (RFC 8693), jwt_bearer (RFC 7523), id_jag (identity assertions), login_hint (whom clients ask by the back channel); nothing if empty."`
	Audiences   []string `json:"audiences,omitempty" maxItems:"50" nullable:"false" doc:"The aud of tokens that may be exchanged, one of which a token must name; the realm's issuer if empty. Assertions are for the realm's issuer alone."`
	Scopes      []string `json:"scopes,omitempty" maxItems:"50" nullable:"false" doc:"The most that anybody gets on its word; nothing if empty."`
	LinkByEmail bool     `json:"link_by_email,omitempty" doc:"Relaxed: a subject that is not known yet is linked with the person who has the same verified address."`
	MaxLife     int64    `json:"max_life,omitempty" minimum:"0" maximum:"86400" doc:"How many seconds ahead the exp of its tokens may be; 300 if 0."`
}

// TrustedSubject says who a subject of a trusted issuer is in the realm.
type TrustedSubject struct {
	ID        string    `json:"id" doc:"Also the id of the credential that the link is."`
	Subject   string    `json:"subject" doc:"The sub of the issuer's tokens."`
	Principal string    `json:"principal"`
	CreatedAt time.Time `json:"created_at"`
}

// TrustedSubjectCreate links a subject with a principal.
type TrustedSubjectCreate struct {
	Subject   string `json:"subject" maxLength:"255" doc:"The sub of the issuer's tokens."`
	Principal string `json:"principal" maxLength:"64" doc:"Who that is here: a user or a service."`
}
