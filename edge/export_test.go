package edge

import (
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
)

// Hasten has the edge wait for no revision.
func (e *Edge) Hasten() { e.patience = 0 }

// Forge changes the facts of the realm, or of a slice of it, that a directory holds, at the revision
// that it holds.
func Forge(dir, issuer string, types []string, c graph.Change) error {
	k, s, err := openStore(dir, issuer, types)
	if err != nil {
		return err
	}
	defer k.close()
	other := *s
	if other.Graph, err = s.Graph.Apply(c); err != nil {
		return err
	}
	other.Snapshot = policy.NewSnapshot(s.Snapshot.Set(), other.Graph, s.Revision)
	return k.rewrite(&other)
}
