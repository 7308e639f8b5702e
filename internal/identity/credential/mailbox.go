package credential

import (
	"encoding/base64"
	"slices"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// MailboxTx is the credential for an address that a person has just shown to
// read, so that what is born of it ends when the address is not theirs any more.
// The transaction must be serializable.
func MailboxTx(tx *db.Tx, by audit.Actor, owner, address string) (Credential, error) {
	all, err := living(tx, owner)
	if err != nil {
		return Credential{}, err
	}
	for _, c := range all {
		if c.Type == Mailbox && c.data == mailboxOf(address) {
			return c, noteUse(tx, c.ID)
		}
	}
	return create(tx, by, Credential{Principal: owner, Type: Mailbox, data: mailboxOf(address)}, "")
}

// mailboxOf is how an address is kept: not so that it could be read.
func mailboxOf(address string) string {
	return base64.RawURLEncoding.EncodeToString(secret.Hash("mailbox " + principal.Canonical(address)))
}

// FollowMailboxes has the credential for an address revoked in the transaction
// in which the address stops to be a proved one of its owner. Call it before the
// log is started.
func FollowMailboxes(log *audit.Log) {
	log.Within(func(tx *db.Tx, happened []audit.Record) error {
		for _, r := range happened {
			if _, ok := r.Aside.([]principal.Email); !ok {
				continue
			}
			if err := revokeMailboxes(tx, r.Actor, r.Target); err != nil {
				return err
			}
		}
		return nil
	}, "principal.email.remove", "principal.email.change", "principal.email.restore")
}

func revokeMailboxes(tx *db.Tx, by audit.Actor, owner string) error {
	all, err := living(tx, owner)
	if err != nil || !slices.ContainsFunc(all, func(c Credential) bool { return c.Type == Mailbox }) {
		return err
	}
	p, err := principal.ByIDTx(tx, owner)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Type != Mailbox || slices.ContainsFunc(p.Emails, func(e principal.Email) bool { return e.Verified && mailboxOf(e.Address) == c.data }) {
			continue
		}
		if err := RevokeTx(tx, by, c.ID, "the address is not theirs any more"); err != nil {
			return err
		}
	}
	return nil
}
