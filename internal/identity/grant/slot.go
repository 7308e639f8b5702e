package grant

import (
	"context"
	"sync"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/keyring"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// Purpose says what a status list's indexes stand for. Each purpose has lists
// of its own.
type Purpose string

// The purposes of status lists.
const (
	ForGrants  Purpose = "grant"
	ForAPIKeys Purpose = "api_key"
)

// sizes are those of a realm's first, second and all later lists: a small realm
// does not publish a long list of nothing. Nodes take indexes in blocks of a
// list's step.
var sizes = []struct{ size, step int64 }{{1 << 13, 64}, {1 << 16, 512}, {1 << 20, 1024}}

// Slot is a status index reserved for something about to be born, together
// with what its birth needs to know and may not read inside a transaction. It
// is used once; if the birth fails the index is lost.
type Slot struct {
	realm *realm.Realm
	epoch int64
	bit   audit.Bit
	key   []byte // of the realm's refresh tokens
}

// blocks are the indexes this node has taken and not yet given out.
type blocks struct {
	mu sync.Mutex
	of map[blockKey]*block
}

type blockKey struct {
	realm   string
	purpose Purpose
}

// block is a stretch of a list's counter. refill is held by the one request
// that takes the next block while others of the same realm wait.
type block struct {
	refill    sync.Mutex
	list      string
	epoch     int64
	order     *statuslist.Permutation
	next, end int64
}

// Reserve takes a status index for a birth. It must be called outside of
// transactions: now and then it opens one.
func (s *Store) Reserve(ctx context.Context, realmName string, p Purpose) (Slot, error) {
	r, err := s.Realms.ByName(ctx, realmName)
	if err != nil {
		return Slot{}, err
	}
	key, err := s.Ring.Secret(ctx, realmName, keyring.Derive)
	if err != nil {
		return Slot{}, err
	}
	bit, epoch, err := s.nextIndex(ctx, realmName, p)
	return Slot{realm: r, epoch: epoch, bit: bit, key: key}, err
}

func (s *Store) nextIndex(ctx context.Context, realmName string, p Purpose) (audit.Bit, int64, error) {
	s.blocks.mu.Lock()
	key := blockKey{realmName, p}
	b := s.blocks.of[key]
	if b == nil {
		b = &block{}
		s.blocks.of[key] = b
	}
	s.blocks.mu.Unlock()
	if bit, epoch, ok := s.blocks.take(b, s.epoch()); ok {
		return bit, epoch, nil
	}
	b.refill.Lock()
	defer b.refill.Unlock()
	for range 3 {
		if bit, epoch, ok := s.blocks.take(b, s.epoch()); ok {
			return bit, epoch, nil
		}
		if err := s.takeBlock(ctx, realmName, p, b); err != nil {
			return audit.Bit{}, 0, err
		}
	}
	return audit.Bit{}, 0, fault.New(fault.Unavailable, "status_index", "no status index could be had for realm %q; try again", realmName)
}

func (bs *blocks) take(b *block, epoch int64) (audit.Bit, int64, bool) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	if b.next >= b.end || b.epoch != epoch {
		return audit.Bit{}, 0, false
	}
	b.next++
	return audit.Bit{List: b.list, Index: b.order.At(b.next - 1)}, b.epoch, true
}

// drop forgets blocks of a list that closed: what they hold is lost.
func (bs *blocks) drop(realmName, list string) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for key, b := range bs.of {
		if key.realm == realmName && b.list == list {
			b.next = b.end
		}
	}
}

// takeBlock takes the next stretch of the realm's open list, and opens a list
// where there is none or the last one is used up. What a failover may have
// forgotten is not given out again: a list of an older epoch closes.
func (s *Store) takeBlock(ctx context.Context, realmName string, p Purpose, b *block) error {
	key, err := s.Ring.Secret(ctx, realmName, keyring.Permute)
	if err != nil {
		return err
	}
	before, epoch := s.log.Applied(), s.epoch()
	var taken listRow
	err = s.db.Update(ctx, realmName, func(tx *db.Tx) error {
		taken, err = takeBlock(tx, p, epoch)
		if err == nil || !db.Missing(err) {
			return err
		}
		return s.openList(tx, p, epoch, before, &taken)
	})
	if err != nil {
		return err
	}
	order, err := statuslist.NewPermutation(key, taken.id, taken.size)
	if err != nil {
		return err
	}
	s.blocks.mu.Lock()
	defer s.blocks.mu.Unlock()
	b.list, b.epoch, b.order = taken.id, taken.epoch, order
	b.next, b.end = taken.next-taken.step, min(taken.next, taken.size)
	return nil
}

func (s *Store) openList(tx *db.Tx, p Purpose, epoch int64, before audit.Position, opened *listRow) error {
	closed, err := closeList(tx, p, epoch)
	switch {
	case err == nil:
		audit.Append(tx, audit.System, audit.Event{Action: "status_list.close", TargetType: "status_list", Target: closed.id, Invalidates: true})
	case !db.Missing(err):
		return err
	}
	n, err := countLists(tx, p)
	if err != nil {
		return err
	}
	grade := sizes[min(int(n), len(sizes)-1)]
	*opened = listRow{id: id.New("slt", tx.Now), epoch: epoch, size: grade.size, step: grade.step, next: grade.step}
	fresh, err := insertList(tx, p, *opened)
	if err != nil {
		return err
	}
	if !fresh {
		return fault.New(fault.Unavailable, "status_list", "another node is opening a status list; try again")
	}
	if err := startCheckpoint(tx, before); err != nil {
		return err
	}
	audit.Append(tx, audit.System, audit.Event{Action: "status_list.open", TargetType: "status_list", Target: opened.id, Invalidates: true,
		Data: map[string]any{"size": opened.size, "purpose": string(p)}})
	return nil
}
