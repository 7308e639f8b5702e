// Package statuslist owns the shared language of revocation: the bitmap with
// one bit per grant, its encoding as a Token Status List
// (draft-ietf-oauth-status-list), the order in which its indexes are handed
// out, and the messages of the live stream that carries changes to verifiers.
//
// It is pure: it reads no clock, no network and no database, and it signs
// nothing.
package statuslist

// The media types of what is signed here, as the typ header names them.
const (
	TypeList     = "statuslist+jwt"             // draft-ietf-oauth-status-list, section 5.1
	TypeSnapshot = "revocation-snapshot+jwt"    // a Snapshot
	TypeHead     = "revocation-head+jwt"        // a Head
	MediaType    = "application/statuslist+jwt" // Content-Type of a served list
)

// Path is where an issuer serves its lists, below the issuer's own address;
// StreamPath is where it serves the live stream.
const (
	Path       = "/status-lists/"
	StreamPath = Path + "stream"
)

// URI is the address of a list, which is also its name in tokens.
func URI(issuer, listID string) string { return issuer + Path + listID }
