package realm

import (
	"errors"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/jose"
)

// How clients may come into a realm without an operator: the values of
// Settings.Registration (RFC 7591).
const (
	RegistrationOff   = "off"
	RegistrationToken = "initial_access_token"
	RegistrationOpen  = "open"
)

// TakesDocuments reports whether a client id may be the address of a document
// about the client.
func (s *Settings) TakesDocuments() bool {
	return s.ClientDocuments == "on" || s.ClientDocuments == "profile" && s.Profile == "mcp"
}

// maxIssuers bounds a setting that names issuers and their keys, in bytes.
const maxIssuers = 32 << 10

// KeyIssuer is somebody whose signatures count for one purpose, with the keys
// that are theirs.
type KeyIssuer struct {
	Issuer string
	Keys   jose.Set
}

// ParseKeyIssuers reads a JSON object whose names are issuers and whose values
// are their JSON Web Key Sets.
func ParseKeyIssuers(text string) ([]KeyIssuer, error) {
	if len(text) > maxIssuers {
		return nil, errors.New("must have at most 32 KiB")
	}
	o, err := jose.ParseObject([]byte(text))
	if err != nil {
		return nil, errors.New(`must be a JSON object of issuers and their key sets, such as {"https://issuer.example": {"keys": []}}`)
	}
	var list []KeyIssuer
	for _, m := range o.Members() {
		keys, err := jose.ParseSet(m.Raw)
		if err != nil || len(keys) == 0 {
			return nil, errors.New("holds an issuer without a usable key set")
		}
		if m.Name == "" || len(m.Name) > 500 {
			return nil, errors.New("holds an issuer without a name of at most 500 bytes")
		}
		list = append(list, KeyIssuer{m.Name, keys})
	}
	return list, nil
}

// None is how a list that may be empty is written.
const None = "none"

// List reads a setting that is a list of words.
func List(text string) []string {
	if text == None {
		return nil
	}
	return strings.Fields(text)
}

// ListsHost reports whether a list of host patterns names a host: exactly, as
// *.example.com for what is below example.com, or as * for every one.
func ListsHost(list []string, host string) bool {
	return host != "" && slices.ContainsFunc(list, func(pattern string) bool {
		below, wild := strings.CutPrefix(pattern, "*.")
		return pattern == "*" || pattern == host || wild && strings.HasSuffix(host, "."+below)
	})
}

// checkList bounds a list of words.
func checkList(text string) error {
	if len(text) > 8000 {
		return errors.New("must have at most 8,000 bytes")
	}
	return nil
}

func checkIssuers(text string) error {
	_, err := ParseKeyIssuers(text)
	return err
}

func checkKeySet(text string) error {
	if text == None {
		return nil
	}
	if len(text) > maxIssuers {
		return errors.New("must have at most 32 KiB")
	}
	if keys, err := jose.ParseSet([]byte(text)); err != nil || len(keys) == 0 {
		return errors.New("must be a JSON Web Key Set with public keys for signatures, or none")
	}
	return nil
}

// checkOpenScopes refuses scopes that nobody may give themselves.
func checkOpenScopes(text string) error {
	for _, scope := range List(text) {
		if strings.HasPrefix(scope, "cardea:") {
			return errors.New("must not hold scopes of Cardea's own, such as cardea:admin")
		}
	}
	return checkList(text)
}
