package credential

import (
	"context"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// RenamePasskey changes what the owner of a passkey, or of an authenticator app,
// calls it.
func (s *Store) RenamePasskey(ctx context.Context, by audit.Actor, realm, owner, id, name string) error {
	return s.db.Update(ctx, realm, func(tx *db.Tx) error { return RenamePasskeyTx(tx, by, owner, id, name) })
}

// RenamePasskeyTx is RenamePasskey within a transaction. It is fault.NotFound if
// it is another's.
func RenamePasskeyTx(tx *db.Tx, by audit.Actor, owner, id, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	c, err := LiveTx(tx, id)
	if err != nil {
		return err
	}
	if c.Type != Passkey && c.Type != TOTP || c.Principal != owner {
		return unknown(id)
	}
	if name = strings.TrimSpace(name); name == c.Name {
		return nil
	}
	if err := rename(tx, id, name); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "credential.rename", TargetType: string(c.Type), Target: id,
		Data: map[string]any{"principal": owner}, Invalidates: true})
	return nil
}
