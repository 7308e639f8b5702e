package credential

import (
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// maxFederated bounds at how many other issuers one principal is known.
const maxFederated = 50

// AddFederatedTx notes that another issuer vouches for the principal, so that
// what is obtained on its word hangs on a credential that can be revoked. name
// is what people call it. Whom the issuer means is kept by package trust. The
// transaction must be serializable.
func AddFederatedTx(tx *db.Tx, by audit.Actor, principal, name string) (Credential, error) {
	n, err := countLiving(tx, principal, Federated)
	if err != nil {
		return Credential{}, err
	}
	if n >= maxFederated {
		return Credential{}, fault.New(fault.Conflict, "federated_exhausted", "a principal is linked with at most %d subjects of other issuers", maxFederated)
	}
	return create(tx, by, Credential{Principal: principal, Type: Federated, Name: name}, "")
}
