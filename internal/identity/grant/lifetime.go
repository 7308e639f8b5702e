package grant

import (
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// A client's lifetimes may only shorten those of its realm; zero leaves them.

func refreshIdle(r *realm.Realm, c *client.Client) time.Duration {
	return shorter(r.Settings.RefreshIdle, c.RefreshIdle())
}

func refreshAbsolute(r *realm.Realm, c *client.Client) time.Duration {
	return shorter(r.Settings.RefreshAbsolute, c.RefreshAbsolute())
}

func tokenLife(r *realm.Realm, c *client.Client) time.Duration {
	return max(shorter(r.Settings.AccessTokenTTL, c.AccessTokenLife()), shorter(r.Settings.IDTokenTTL, c.IDTokenLife()))
}

func shorter(realm, client time.Duration) time.Duration {
	if client > 0 {
		return min(realm, client)
	}
	return realm
}
