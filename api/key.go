package api

import "time"

// SigningKey is a key that signs the realm's tokens, without its private part.
type SigningKey struct {
	ID         string     `json:"id" doc:"The kid of tokens and of the key set."`
	Algorithm  string     `json:"algorithm" enum:"ES256,RS256,PS256,EdDSA"`
	State      string     `json:"state" enum:"pending,active,retiring,retired,revoked" doc:"pending: published, not yet used; active: signs; retiring: verifies only; retired: left the key set; revoked: all it signed is dead"`
	CreatedAt  time.Time  `json:"created_at"`
	ActiveAt   time.Time  `json:"active_at" doc:"When it starts to sign."`
	RetiresAt  *time.Time `json:"retires_at,omitempty" doc:"When it leaves the key set."`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	Thumbprint string     `json:"thumbprint" doc:"RFC 7638, SHA-256."`
}

// SigningKeyRotate starts a rotation.
type SigningKeyRotate struct {
	Algorithm string `json:"algorithm" enum:"ES256,RS256,PS256,EdDSA"`
	Now       bool   `json:"now,omitempty" doc:"Sign with the new key at once, without publishing it first. Verifiers that cached the key set fail until they fetch it again."`
}
