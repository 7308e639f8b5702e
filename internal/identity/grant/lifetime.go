package grant

import (
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// lifeMargin is by how much clocks may differ, and how long a node may go on with
// settings that were changed.
const lifeMargin = 10 * time.Minute

// MaxTokenLife bounds the life of every token that a status list or a cut-off
// speaks about; it is the longest that a realm's settings allow, and a margin.
const MaxTokenLife = 24*time.Hour + lifeMargin

// lastToken returns when every access token of a realm has expired that was
// minted before an instant. Before the realm was last changed its settings may
// have been any, so until a day has passed since then no token is ruled out.
func lastToken(r *realm.Realm, before time.Time) time.Time {
	last := before.Add(r.Settings.AccessTokenTTL + lifeMargin)
	if earlier := r.UpdatedAt.Add(MaxTokenLife); last.Before(earlier) {
		last = earlier
	}
	if most := before.Add(MaxTokenLife); most.Before(last) {
		return most
	}
	return last
}

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
