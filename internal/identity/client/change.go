package client

import (
	"context"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

// Update replaces a client's settings. With a version other than zero it is
// fault.Precondition when the client has changed since.
func (r *Registry) Update(ctx context.Context, by audit.Actor, realm, id string, version int64, s Settings) (c Changed, err error) {
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		c, err = r.UpdateTx(tx, by, id, version, s)
		return err
	})
	if err != nil {
		return Changed{}, err
	}
	return c, nil
}

// UpdateTx is Update within a transaction, which must be serializable.
func (r *Registry) UpdateTx(tx *db.Tx, by audit.Actor, id string, version int64, s Settings) (Changed, error) {
	c, err := readFor(tx, id, version)
	if err != nil {
		return Changed{}, err
	}
	before := c.Settings
	c.Settings = s
	c.Settings.Defaults()
	if err := c.validate(); err != nil {
		return Changed{}, err
	}
	if err := c.fitsRealm(tx); err != nil {
		return Changed{}, err
	}
	if err := write(tx, c); err != nil {
		return Changed{}, err
	}
	changed, err := r.fit(tx, by, c, &before)
	if err != nil {
		return Changed{}, err
	}
	audit.Append(tx, by, audit.Event{Action: "client.update", TargetType: "client", Target: c.ID, Invalidates: true,
		Data: map[string]any{"name": c.Name}})
	return changed, nil
}

// Enable lets a disabled client ask for tokens again. What it had been given
// before stays dead.
func (r *Registry) Enable(ctx context.Context, by audit.Actor, realm, id string, version int64) (c *Client, err error) {
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		if c, err = readFor(tx, id, version); err != nil || c.Enabled {
			return err
		}
		c.Enabled = true
		if err := write(tx, c); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "client.enable", TargetType: "client", Target: id, Invalidates: true})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// DisableTx makes a client dead: every token it was given is cut off, and
// nothing more is issued to it. Package grant is the way in, since it also
// ends what hangs on the client.
func (r *Registry) DisableTx(tx *db.Tx, by audit.Actor, id string, version int64) (*Client, error) {
	c, err := readFor(tx, id, version)
	if err != nil {
		return nil, err
	}
	if !c.Enabled {
		audit.Barrier(tx)
		return c, nil
	}
	c.Enabled, c.Life = false, c.Life+1
	if err := write(tx, c); err != nil {
		return nil, err
	}
	audit.Append(tx, by, audit.Event{Action: "client.disable", TargetType: "client", Target: id, Invalidates: true,
		Cut: &audit.Cutoff{Kind: "client", ID: id}})
	return c, nil
}

// DeleteTx is DisableTx for good. The id stays taken, the service principal
// and its credentials die too. Built-in clients can only be disabled. A client
// that is deleted already stays so, and the commit waits as for the first time.
func (r *Registry) DeleteTx(tx *db.Tx, by audit.Actor, id string, version int64) error {
	if deleted, err := DeletedTx(tx, id); err != nil || deleted {
		audit.Barrier(tx)
		return err
	}
	c, err := readFor(tx, id, version)
	if err != nil {
		return err
	}
	if c.BuiltIn {
		return fault.New(fault.Conflict, "client_built_in", "client %q belongs to the realm; disable it instead", id)
	}
	ok, err := remove(tx, id, c.Version)
	if err != nil {
		return err
	}
	if !ok {
		return changed(id)
	}
	if err := principal.DeleteTx(tx, by, c.Principal); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "client.delete", TargetType: "client", Target: id, Invalidates: true,
		Data: map[string]any{"name": c.Name}, Cut: &audit.Cutoff{Kind: "client", ID: id}})
	return nil
}

// AliveTx reads a client within a transaction and returns fault.NotFound or
// fault.Forbidden unless it is there and enabled. It does not hold up a death:
// the Life read here is stored with what is born, and a mismatch is death.
func AliveTx(tx *db.Tx, id string) (*Client, error) { return AskAlive(tx, id)() }

// AskAlive asks for what AliveTx returns, without waiting yet.
func AskAlive(tx *db.Tx, id string) func() (*Client, error) {
	answer := askClient(tx, id)
	return func() (*Client, error) {
		c, err := answer()
		if err != nil {
			return nil, err
		}
		return c, c.alive()
	}
}

// PeekAlive is Live for a transaction, which must not wait for another one: it
// reports false unless the client is in memory and enabled.
func (r *Registry) PeekAlive(realm, id string) (*Client, bool) {
	c, ok := r.clients.Peek(realm, id)
	return c, ok && c.Enabled
}

// Live is AliveTx from memory.
func (r *Registry) Live(ctx context.Context, realm, id string) (*Client, error) {
	c, err := r.ByID(ctx, realm, id)
	if err != nil {
		return nil, err
	}
	return c, c.alive()
}

func (c *Client) alive() error {
	if !c.Enabled {
		return fault.New(fault.Forbidden, "client_disabled", "client %q is disabled", c.ID)
	}
	return nil
}

// readFor reads a client in order to change it.
func readFor(tx *db.Tx, id string, version int64) (*Client, error) {
	c, err := ByIDTx(tx, id)
	if err != nil {
		return nil, err
	}
	if version != 0 && version != c.Version {
		return nil, changed(id)
	}
	return c, nil
}

func write(tx *db.Tx, c *Client) error {
	ok, err := update(tx, c, c.Version)
	if err != nil {
		return err
	}
	if !ok {
		return changed(c.ID)
	}
	c.Version++
	c.Updated = tx.Now
	return nil
}

func changed(id string) error {
	return fault.New(fault.Precondition, "version_mismatch", "client %q has changed since it was read", id)
}
