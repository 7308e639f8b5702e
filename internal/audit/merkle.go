package audit

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardea-id/cardea/internal/db"
)

// Each realm's events are the leaves of a Merkle tree as RFC 6962 hashes it. Of
// the tree only its frontier is kept up to date: the roots of the perfect
// subtrees that make it up, largest first. Full tiles of 256 hashes are written
// when they fill, so that proofs over old events need not read them.

const tileWidth = 256

func leafHash(body string) tlog.Hash { return tlog.RecordHash([]byte(body)) }

// tree is a realm's tree while a batch is appended to it.
type tree struct {
	realm    string
	size     int64
	frontier []tlog.Hash
	began    int64 // size before this batch, once known
	fresh    []tlog.Hash
}

// append adds a leaf and returns its index.
func (t *tree) append(leaf tlog.Hash) int64 {
	if len(t.fresh) == 0 {
		t.began = t.size
	}
	t.fresh = append(t.fresh, leaf)
	h := leaf
	// Each trailing one bit of the size is a perfect subtree to merge with.
	for n := t.size; n&1 == 1; n >>= 1 {
		h = tlog.NodeHash(t.frontier[len(t.frontier)-1], h)
		t.frontier = t.frontier[:len(t.frontier)-1]
	}
	t.frontier = append(t.frontier, h)
	t.size++
	return t.size - 1
}

// root is the tree's hash (RFC 6962, section 2.1).
func (t *tree) root() tlog.Hash {
	if len(t.frontier) == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := t.frontier[len(t.frontier)-1]
	for i := len(t.frontier) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.frontier[i], h)
	}
	return h
}

// save writes the frontier and every tile that the batch filled.
func (t *tree) save(tx *db.Tx) error {
	for n := t.began / tileWidth; (n+1)*tileWidth <= t.size; n++ {
		if err := t.fillTile(tx, n); err != nil {
			return err
		}
	}
	return saveTree(tx, t)
}

// fillTile writes tile n of the leaves, and each tile above that it completes.
func (t *tree) fillTile(tx *db.Tx, n int64) error {
	hashes := make([]byte, 0, tileWidth*tlog.HashSize)
	from := n * tileWidth
	if from < t.began {
		bodies, err := leafBodies(tx, t.realm, from, t.began)
		if err != nil {
			return err
		}
		if int64(len(bodies)) != t.began-from {
			return fmt.Errorf("audit: %d of %d events before event %d of realm %s are missing", t.began-from-int64(len(bodies)), t.began-from, t.began, t.realm)
		}
		for _, b := range bodies {
			h := leafHash(b)
			hashes = append(hashes, h[:]...)
		}
	}
	for i := max(from, t.began); i < from+tileWidth; i++ {
		h := t.fresh[i-t.began]
		hashes = append(hashes, h[:]...)
	}
	for level := int64(0); ; level++ {
		if err := insertTile(tx, t.realm, level, n, hashes); err != nil {
			return err
		}
		if (n+1)%tileWidth != 0 {
			return nil
		}
		// This was the last of 256 tiles: their roots make a tile of the next level.
		first := n + 1 - tileWidth
		hashes = hashes[:0:0]
		for i := first; i <= n; i++ {
			below, err := tile(tx, t.realm, level, i)
			if err != nil {
				return err
			}
			h := tileRoot(below)
			hashes = append(hashes, h[:]...)
		}
		n = first / tileWidth
	}
}

// tileRoot hashes the 256 hashes of a full tile into one.
func tileRoot(hashes []byte) tlog.Hash {
	level := make([]tlog.Hash, 0, tileWidth)
	for ; len(hashes) >= tlog.HashSize; hashes = hashes[tlog.HashSize:] {
		level = append(level, tlog.Hash(hashes))
	}
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}
