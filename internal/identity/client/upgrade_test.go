package client_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/db/dbtest"
	"github.com/cardea-id/cardea/internal/identity/client"
)

// settingsBefore0141 is how the command line of a realm was written down before
// it could sign in by the device grant.
const settingsBefore0141 = `{"name":"Cardea command line","type":"native","redirect_uris":["http://127.0.0.1/callback","http://[::1]/callback"],` +
	`"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"scopes":["cardea:admin","openid","offline_access"]}`

// Realms of before the device grant: their command line gets it, unless somebody
// has changed what it may do, and no other client does. Migrating once more
// changes nothing.
func TestTheCommandLineOfOldRealmsLearnsTheDeviceGrant(t *testing.T) {
	for _, kind := range []db.Engine{db.SQLite, db.Postgres} {
		t.Run(kind.String(), func(t *testing.T) {
			d, ctx := dbtest.Before(t, kind, "0141_client_cli_device"), t.Context()
			changed := strings.Replace(settingsBefore0141, `,"refresh_token"`, "", 1)
			rows := []struct {
				realm, id        string
				builtIn, deleted bool
				settings         string
				learns           bool
			}{
				{"old", client.CLI, true, false, settingsBefore0141, true},
				{"older", client.CLI, true, false, settingsBefore0141, true},
				{"changed", client.CLI, true, false, changed, false},
				{"deleted", client.CLI, true, true, "{}", false},
				{"old", "app", false, false, settingsBefore0141, false},
			}
			err := d.SystemRC(ctx, func(tx *db.Tx) error {
				for _, r := range rows {
					if _, err := tx.Exec(`INSERT INTO realms (realm, display_name, host, state, settings, version, created_at, updated_at)
						VALUES ($1, '', NULL, 'active', '{}', 1, 1, 1) ON CONFLICT DO NOTHING`, r.realm); err != nil {
						return err
					}
					if _, err := tx.Exec(`INSERT INTO clients (realm, id, principal, name, enabled, built_in, deleted, life, settings, version, created, updated)
						VALUES ($1, $2, $3, '', TRUE, $4, $5, 0, $6, 7, 1, 1)`, r.realm, r.id, "svc_"+r.id, r.builtIn, r.deleted, r.settings); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := d.Migrate(ctx); err != nil {
					t.Fatal(err)
				}
			}
			clients := client.New(d, audit.New(d, audit.Options{}), nil)
			for _, r := range rows {
				if r.deleted {
					if c, err := clients.ByID(ctx, r.realm, r.id); err == nil {
						t.Errorf("%s %s came back: %+v", r.realm, r.id, c)
					}
					continue
				}
				c, err := clients.ByID(ctx, r.realm, r.id)
				if err != nil {
					t.Fatal(err)
				}
				want := []string{client.AuthorizationCode}
				switch {
				case r.learns:
					want = append(want, client.RefreshToken, client.DeviceCode)
				case r.settings != changed:
					want = append(want, client.RefreshToken)
				}
				if !slices.Equal(c.GrantTypes, want) || r.learns && c.Version != 8 {
					t.Errorf("%s %s may use %v, version %d; want %v", r.realm, r.id, c.GrantTypes, c.Version, want)
				}
			}
		})
	}
}
