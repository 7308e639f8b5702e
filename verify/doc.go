// Package verify checks Cardea's access tokens where they are used: in the
// API that receives them, without a call per request, and still within
// milliseconds of their revocation.
//
// A [Verifier] knows one issuer. It fetches the issuer's keys, follows its
// revocation stream in the background, and holds one bit for each grant. To
// check a token it verifies the signature once, then only looks up a bit:
//
//	v, err := verify.New(ctx, verify.Config{
//		Issuer:      "https://id.example.com",
//		Audience:    "https://api.example.com",
//		Credentials: verify.ClientSecret("cli_…", secret),
//	})
//	…
//	http.Handle("/orders", v.Protect(orders, "orders:read"))
//
// A resource server without a secret uses [PrivateKeyJWT] instead.
//
// # What is checked
//
// The signature by one of the issuer's published keys, the algorithm that
// belongs to the key, the type at+jwt, iss, aud, exp, nbf and iat (RFC 9068,
// section 4); then that the token's status bit is not set, that its own
// identifier was not revoked, and that no cut-off has killed every token of its
// client, subject, key or issuer.
//
// # Bound tokens
//
// A token that is bound to a key (DPoP, RFC 9449) or a certificate (mutual TLS,
// RFC 8705) is worth nothing to whoever steals it: [Verifier.Protect] and
// [Verifier.Request] demand the proof or the certificate, and refuse such a
// token as a bearer token. Proofs are compared with Config.URL, the address
// that callers know; behind a proxy set it, and where the proxy ends TLS set
// Config.ClientCertificate to [CertificateFromHeader].
//
// # Clients that know only the API
//
// [ProtectedResourceMetadata] serves what such a client asks for (RFC 9728), and
// Config.ResourceMetadata has challenges lead it there.
//
// # When the stream is silent
//
// A verifier that has not had a signed sign of life for MaxStaleness cannot
// know what was revoked. What it does then is the [Mode]: refuse (the default),
// ask for the public status lists instead, or accept what it cannot check.
//
// # Errors
//
// Verify returns an [*Error] whose kind can be told with errors.Is: [ErrExpired],
// [ErrRevoked], [ErrInvalid] and [ErrStale]. Only the last says nothing about
// the token.
package verify
