// Package jose owns the JSON Web Signature work of the product: it signs and
// verifies compact tokens (RFC 7515) with ES256, EdDSA, RS256 and PS256, reads
// and writes JSON Web Keys (RFC 7517), and checks the claims of tokens that
// others made.
//
// It knows no encryption, no compression and no "none": no type here can hold
// such a key, so no header can ask for one. The one symmetric algorithm, for
// client_secret_jwt, has a type of its own that nothing else takes. What a token
// says about its own key (jwk, jku, x5u, x5c, crit, b64) is refused, and the
// algorithm belongs to the key, never to the token. Only a proof of possession
// brings its key along, and says nothing but that somebody has it.
package jose

// The signature algorithms of RFC 7518 and RFC 8037 that the product speaks.
const (
	ES256 = "ES256" // ECDSA on P-256 with SHA-256; the default
	EdDSA = "EdDSA" // Ed25519
	RS256 = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	PS256 = "PS256" // RSASSA-PSS with SHA-256
)

// Algorithms lists what this package can sign and verify, preferred first.
func Algorithms() []string { return []string{ES256, EdDSA, RS256, PS256} }

// Known reports whether alg is one that this package can sign and verify.
func Known(alg string) bool {
	return alg == ES256 || alg == EdDSA || alg == RS256 || alg == PS256
}

// MaxBytes is the size above which tokens are refused unread, unless a caller
// names a bound of its own.
const MaxBytes = 16 << 10
