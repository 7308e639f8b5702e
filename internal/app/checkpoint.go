package app

import (
	"crypto/ed25519"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/secret"
)

// checkpointSigner signs the checkpoints of each realm's log with a key derived
// from the master key: whoever holds only the database cannot sign a log that
// they have rewritten.
func checkpointSigner(host string, master []byte) audit.Signer {
	return audit.Ed25519Signer(host, func(realm string) ed25519.PrivateKey {
		return ed25519.NewKeyFromSeed(secret.Derive(master, "cardea/checkpoint/v1", realm))
	})
}
