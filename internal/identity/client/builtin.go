package client

import (
	"fmt"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// CLI is the client id of Cardea's own command line in every realm.
const CLI = "cardea-cli"

// BuiltIns makes the clients that every realm has from its beginning. It runs
// in the transaction that makes the realm.
func (r *Registry) BuiltIns(tx *db.Tx, by audit.Actor) error {
	_, err := r.create(tx, by, Draft{ID: CLI, Settings: Settings{
		Name:         "Cardea command line",
		Type:         Native,
		RedirectURIs: []string{"http://127.0.0.1/callback", "http://[::1]/callback"},
		GrantTypes:   []string{AuthorizationCode, RefreshToken, DeviceCode},
		Scopes:       []string{"cardea:admin", "openid", "offline_access"},
	}}, true)
	if err != nil {
		return fmt.Errorf("make client %s: %w", CLI, err)
	}
	return nil
}
