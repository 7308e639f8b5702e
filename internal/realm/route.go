package realm

import (
	"context"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
)

// realmsPath is where realms without a host of their own live.
const realmsPath = "/realms/"

// resourceDocument is the metadata of a protected resource.
const resourceDocument = "/.well-known/oauth-protected-resource"

// hostDocuments are looked for at the root of a host and nowhere else.
var hostDocuments = []string{"/.well-known/webauthn", "/.well-known/passkey-endpoints", "/.well-known/change-password"}

// ResourceMetadata is the address of what is said of a resource that the realm
// serves itself, by what follows the issuer in its name (RFC 9728, section 3.1).
func (r *Realm) ResourceMetadata(path string) string {
	return strings.TrimSuffix(r.Issuer, r.Path) + resourceDocument + r.Path + path
}

// Resolve finds the realm that a request to host and path is for, and the rest
// of the path as the realm's routes know it. It asks no database for realms
// that were asked for before.
//
// A host that belongs to a realm serves that realm alone; any other host serves
// the default realm at the issuer's path and the others below /realms/. The
// documents of RFC 8414, section 3.1, whose path begins with /.well-known/ and
// ends with the issuer's, are found too, and those of RFC 9728, section 3.1, in
// which the path of a resource below the issuer follows. fault.NotFound says that
// there is no such realm.
func (r *Registry) Resolve(ctx context.Context, host, path string) (*Realm, string, error) {
	name, err := r.nameAt(ctx, host)
	if err != nil {
		return nil, "", err
	}
	if name != "" {
		found, err := r.ByName(ctx, name)
		return found, path, err
	}
	name, rest, ok := r.split(path)
	if !ok {
		return nil, "", fault.New(fault.NotFound, "realm_unknown", "there is no realm at this address")
	}
	found, err := r.ByName(ctx, name)
	if err != nil {
		return nil, "", err
	}
	if found.Host != "" {
		// Served at its path too, it would share the browser origin that it
		// was given a host to get away from.
		return nil, "", unknown(name)
	}
	return found, rest, nil
}

// split takes a path below the base issuer apart into realm and rest.
func (r *Registry) split(path string) (name, rest string, ok bool) {
	if document, tail, found := wellKnown(path); found {
		name, tail, ok = r.split(tail)
		if document == resourceDocument {
			return name, strings.TrimSuffix(document+tail, "/"), ok && !strings.HasPrefix(tail, "/.well-known/")
		}
		return name, document, ok && tail == "/"
	}
	if r.base.Path != "" && slices.Contains(hostDocuments, path) {
		return Default, path, true // they speak for the whole host
	}
	path, ok = strings.CutPrefix(path, r.base.Path)
	if !ok || path != "" && path[0] != '/' {
		return "", "", false
	}
	below, inRealm := strings.CutPrefix(path, realmsPath)
	if !inRealm {
		if path == "" {
			path = "/"
		}
		return Default, path, true
	}
	name, rest, _ = strings.Cut(below, "/")
	if name == Default || !namePattern.MatchString(name) {
		return "", "", false // one realm, one address
	}
	return name, "/" + rest, true
}

// wellKnown takes /.well-known/x/realms/acme apart into /.well-known/x and
// /realms/acme.
func wellKnown(path string) (document, tail string, found bool) {
	const root = "/.well-known/"
	below, ok := strings.CutPrefix(path, root)
	if !ok {
		return "", "", false
	}
	document, tail, found = strings.Cut(below, "/")
	return root + document, "/" + tail, found && tail != ""
}

// nameAt finds the realm that has host for its own, or "".
func (r *Registry) nameAt(ctx context.Context, host string) (string, error) {
	if host == r.base.Host {
		return "", nil // as most are, in lower case already
	}
	if host = strings.ToLower(host); host == r.base.Host {
		return "", nil
	}
	if name, known := r.hosts.Peek("", host); known {
		return name, nil
	}
	if checkHost(host) != nil {
		return "", nil
	}
	return r.hosts.Get("", host, func() (string, error) { return r.loadHost(ctx, host) })
}

func unknown(name string) error {
	return fault.New(fault.NotFound, "realm_unknown", "there is no realm %q", name)
}
