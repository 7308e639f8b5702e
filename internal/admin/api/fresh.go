package api

import (
	"slices"
	"strconv"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/token"
)

// dangerous are operations after which others may be somebody else, or the realm
// another: they make operators, secrets and trust, or end what cannot be made
// again. All that make or show a secret are dangerous besides.
var dangerous = []string{
	"delete-user", "delete-service", "delete-client", "delete-group", "delete-organization", "revoke-user-credential", "add-email", "update-email",
	"create-client", "replace-client", "close-incident",
	"apply-policy", "rollback-policy", "follow-policy",
	"create-trusted-issuer", "replace-trusted-issuer", "link-trusted-subject",
	"assign-operator", "remove-operator", "update-own-realm", "update-realm", "delete-realm", "rotate-signing-key", "retire-signing-key", "revoke-signing-key",
}

// costly is limited like what makes a secret, but only reads, and for longer than a
// sign-in is recent.
const costly = "verify-events"

// Dangerous reports whether an operation takes a strong and recent sign-in.
func (o Operation) Dangerous() bool {
	return o.Class == Secret && o.ID != costly || slices.Contains(dangerous, o.ID)
}

// fresh refuses a dangerous operation to a person whose sign-in is too old or too
// weak for it, and tells the client which one would do (RFC 9470, section 3).
// Programs have nobody to ask: their credentials are guarded otherwise.
func (s *Server) fresh(c *Caller, o Operation, dpop bool) error {
	if c.By.Kind != "person" || !o.Dangerous() {
		return nil
	}
	least, age := c.Realm.Settings.OperatorACR, c.Realm.Settings.OperatorFresh
	if token.Meets(c.acr, least) && !c.authTime.IsZero() && s.Now().Sub(c.authTime) <= age {
		return nil
	}
	f := fault.New(fault.Unauthenticated, "insufficient_user_authentication", "this takes a sign-in of the level %s within the last %s; sign in again", least, age)
	return &challenge{fault: f, code: f.Code, dpop: dpop, more: []string{"acr_values", least, "max_age", strconv.Itoa(int(age.Seconds()))}}
}
