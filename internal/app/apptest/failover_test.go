package apptest

import (
	"context"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
)

// P-10 and spine 4: the database fails over to a standby that never saw a
// sign-out and a suspension. The node that did ends both again before it says
// yes. Remove the OnEpoch hook in app.cores to see it fail.
func TestWhatEndedBeforeAFailoverStaysEnded(t *testing.T) {
	Run(t, func(t *testing.T, e *Env) {
		ctx := context.Background()
		ada, bob := e.Person(t, "default", "ada@example.com"), e.Person(t, "default", "bob@example.com")
		credentials, err := e.Credentials.List(ctx, "default", ada.ID)
		if err != nil || len(credentials) != 1 {
			t.Fatal(credentials, err)
		}
		begun, err := e.Sessions.Begin(ctx, audit.System, "default", session.New{Principal: ada.ID, Credential: credentials[0].ID, ACR: "aal1", AMR: []string{"pwd"}})
		if err != nil {
			t.Fatal(err)
		}
		kept := e.Log.Applied()
		type head struct {
			realm           string
			seq             int64
			chain, frontier []byte
		}
		var heads []head
		if err := e.DB.System(ctx, func(tx *db.Tx) (err error) {
			heads, err = db.All(tx, func(r db.Row) (h head, err error) {
				err = r.Scan(&h.realm, &h.seq, &h.chain, &h.frontier)
				return h, err
			}, `SELECT realm, seq, chain, frontier FROM log_heads`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := e.Sessions.End(ctx, audit.System, "default", begun.ID, "sign-out"); err != nil {
			t.Fatal(err)
		}
		if err := e.Grants.SuspendPrincipal(ctx, audit.System, "default", bob.ID, "left", nil); err != nil {
			t.Fatal(err)
		}
		// What the standby that takes over looks like.
		if err := e.DB.System(ctx, func(tx *db.Tx) error {
			for _, text := range []string{
				`UPDATE sessions SET ended_at = 0 WHERE realm = 'default'`,
				`UPDATE principals SET state = 'active' WHERE realm = 'default' AND id = '` + bob.ID + `'`,
			} {
				if _, err := tx.Exec(text); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(`DELETE FROM events WHERE position > $1`, kept.Seq); err != nil {
				return err
			}
			for _, h := range heads {
				if _, err := tx.Exec(`UPDATE log_heads SET seq = $1, chain = $2, frontier = $3 WHERE realm = $4`, h.seq, append([]byte{}, h.chain...), append([]byte{}, h.frontier...), h.realm); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(15 * time.Second); e.Log.Applied().Epoch == kept.Epoch || e.Log.Live() != nil; {
			if time.Now().After(deadline) {
				t.Fatal("the node does not come back")
			}
			<-time.After(5 * time.Millisecond)
		}
		if _, err := e.Sessions.FromSecret(ctx, "default", string(begun.Secret)); !fault.Is(err, fault.Unauthenticated) && !fault.Is(err, fault.NotFound) {
			t.Errorf("the session that was signed out: %v", err)
		}
		if p, err := e.People.ByID(ctx, "default", bob.ID); err != nil || p.State != principal.Suspended {
			t.Errorf("the person who was suspended: %+v, %v", p, err)
		}
	})
}
