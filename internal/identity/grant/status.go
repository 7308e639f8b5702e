package grant

import (
	"context"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// Status holds in memory what is dead: the bitmaps of each realm in use, its
// cut-offs, and single dead tokens. The event log is the truth and is followed;
// the database keeps pages of the bitmaps with their position, so that a start
// reads those and the log's tail.
//
// Nothing here is ever revived, not by a failover either: what this node once
// knew to be dead stays dead in it.
type Status struct {
	db     *db.DB
	log    *audit.Log
	realms *realm.Registry

	mu   sync.Mutex
	of   map[string]*dead
	near sync.Map // those of of that are loaded, for questions, which take no lock to find them

	patience time.Duration
	reading  func() // nil, but in tests: before a load
	loads    sync.WaitGroup
	open     context.Context // what loads run under
	close    context.CancelFunc
}

// patience is how long a question waits for a realm that is being loaded.
const patience = 5 * time.Second

func newStatus(d *db.DB, log *audit.Log, realms *realm.Registry) *Status {
	s := unfollowed(d, log, realms)
	log.Follow("status", s.apply, s.reset)
	return s
}

func unfollowed(d *db.DB, log *audit.Log, realms *realm.Registry) *Status {
	s := &Status{db: d, log: log, realms: realms, of: map[string]*dead{}, patience: patience}
	s.open, s.close = context.WithCancel(context.Background())
	return s
}

// Close ends what is being loaded. Nothing can be asked any more that is not known.
func (s *Status) Close() {
	s.mu.Lock()
	s.close()
	s.mu.Unlock()
	s.loads.Wait()
}

// dead is what a node knows about one realm. mu guards everything but the bits
// themselves, which are only ever set.
type dead struct {
	claimed bool          // somebody is loading or has; guarded by Status.mu
	ready   chan struct{} // closed when loading has ended
	err     error         // why it failed; set before ready closes
	before  *dead         // what was known before a reset

	mu      sync.RWMutex
	loaded  bool
	waiting []audit.Record // followed while loading
	at      audit.Position
	lists   map[string]*bits
	cuts    map[cut]cutoff
	tokens  map[string]int64 // jti to expiry in seconds
	events  int              // followed since the last checkpoint
	dirty   bool             // a cut-off came since the last checkpoint
}

type bits struct {
	*statuslist.Bitmap
	closed bool
	dirty  map[int]bool // pages changed since the last checkpoint
}

type cut struct{ kind, id string }

// cutAlone is a cut-off of a principal that leaves what it owns alive. Those who
// follow are told of a principal either way.
const cutAlone = "principal alone"

func newDead() *dead {
	return &dead{ready: make(chan struct{}), lists: map[string]*bits{}, cuts: map[cut]cutoff{}, tokens: map[string]int64{}}
}

// Probe is a token as far as its death is concerned.
type Probe struct {
	Bit    audit.Bit
	JTI    string
	Client string
	Key    string // kid of the key that signed or sealed it
	// Principal is who it acts for. Owners are who that belongs to, and who acts
	// for it.
	Principal string
	Owners    []string
	Minted    audit.Position
}

// Dead reports whether an index is dead. An unknown list is dead: its last
// token has expired long ago.
func (s *Status) Dead(ctx context.Context, realmName string, bit audit.Bit) (bool, error) {
	d, err := s.realm(ctx, realmName)
	if err != nil {
		return true, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.bit(bit), nil
}

// Refuses reports whether a token is dead: by its grant's bit, by a cut-off
// that came after it was minted, or by its own jti. It reads memory only, but
// for the first question about a realm.
func (s *Status) Refuses(ctx context.Context, realmName string, p Probe) (bool, error) {
	d, err := s.realm(ctx, realmName)
	if err != nil {
		return true, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.bit(p.Bit) {
		return true, nil
	}
	if _, gone := d.tokens[p.JTI]; gone {
		return true, nil
	}
	if len(d.cuts) == 0 {
		return false, nil
	}
	minted := statuslist.Position(p.Minted)
	if c, ok := d.cuts[cut{statuslist.CutClient, p.Client}]; ok && minted.Before(c.Pos) {
		return true, nil
	}
	if _, ok := d.cuts[cut{statuslist.CutKey, p.Key}]; ok {
		return true, nil
	}
	if c, ok := d.cuts[cut{statuslist.CutIssuer, ""}]; ok && minted.Before(c.Pos) {
		return true, nil
	}
	if c, ok := d.cuts[cut{cutAlone, p.Principal}]; ok && minted.Before(c.Pos) {
		return true, nil
	}
	if c, ok := d.cuts[cut{statuslist.CutPrincipal, p.Principal}]; ok && minted.Before(c.Pos) {
		return true, nil
	}
	for _, owner := range p.Owners {
		if c, ok := d.cuts[cut{statuslist.CutPrincipal, owner}]; ok && minted.Before(c.Pos) {
			return true, nil
		}
	}
	return false, nil
}

// Killed reports whether an index is known to be dead: not so for one of a list
// that has retired, where nothing is known any more.
func (s *Status) Killed(ctx context.Context, realmName string, bit audit.Bit) (bool, error) {
	d, err := s.realm(ctx, realmName)
	if err != nil {
		return true, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	l := d.lists[bit.List]
	return l != nil && l.Get(bit.Index), nil
}

func (d *dead) bit(b audit.Bit) bool {
	l := d.lists[b.List]
	return l == nil || l.Get(b.Index)
}

// Look is Killed and Open at once.
func (s *Status) Look(ctx context.Context, realmName string, bit audit.Bit) (killed, open bool, err error) {
	d, err := s.realm(ctx, realmName)
	if err != nil {
		return true, false, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	l := d.lists[bit.List]
	return l != nil && l.Get(bit.Index), l != nil && !l.closed, nil
}

// Open reports whether a list still gives out indexes. A grant on a list that
// does not moves to another one before a token is issued under it.
func (s *Status) Open(ctx context.Context, realmName, list string) (bool, error) {
	d, err := s.realm(ctx, realmName)
	if err != nil {
		return false, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	l := d.lists[list]
	return l != nil && !l.closed, nil
}

// Snapshot copies everything dead in a realm, for the revocation stream.
func (s *Status) Snapshot(ctx context.Context, realmName string) (statuslist.State, error) {
	r, err := s.realms.ByName(ctx, realmName)
	if err != nil {
		return statuslist.State{}, err
	}
	d, err := s.realm(ctx, realmName)
	if err != nil {
		return statuslist.State{}, err
	}
	now := s.db.Now()
	d.mu.Lock()
	d.forget(now, r)
	d.mu.Unlock()
	d.mu.RLock()
	defer d.mu.RUnlock()
	state := statuslist.State{Pos: statuslist.Position(d.at)}
	for id, l := range d.lists {
		state.Lists = append(state.Lists, listState(r.Issuer, id, l))
	}
	for _, c := range d.cuts {
		told := c.Cutoff
		told.Exp = c.ends(r).Unix()
		state.Cutoffs = append(state.Cutoffs, told)
	}
	for jti, exp := range d.tokens {
		if now.Unix() < exp {
			state.JTIs = append(state.JTIs, statuslist.DeadToken{JTI: jti, Exp: exp})
		}
	}
	return state, nil
}

// CutoffEnds returns what says until when a cut-off of a kind that was made at an
// instant is needed, by the realm as it is now: see lastToken.
func (s *Status) CutoffEnds(ctx context.Context, realmName string) (func(kind string, at time.Time) time.Time, error) {
	r, err := s.realms.ByName(ctx, realmName)
	if err != nil {
		return nil, err
	}
	return func(kind string, at time.Time) time.Time {
		return cutoff{Cutoff: statuslist.Cutoff{Kind: kind}, Until: at.Add(MaxTokenLife)}.ends(r)
	}, nil
}

// ListBits copies one list. It is fault.NotFound when the realm has no such
// list, or no more.
func (s *Status) ListBits(ctx context.Context, realmName, list string) (statuslist.ListState, error) {
	r, err := s.realms.ByName(ctx, realmName)
	if err != nil {
		return statuslist.ListState{}, err
	}
	d, err := s.realm(ctx, realmName)
	if err != nil {
		return statuslist.ListState{}, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	l := d.lists[list]
	if l == nil {
		return statuslist.ListState{}, fault.New(fault.NotFound, "status_list_unknown", "there is no status list %q", list)
	}
	return listState(r.Issuer, list, l), nil
}

func listState(issuer, id string, l *bits) statuslist.ListState {
	return statuslist.ListState{URI: statuslist.URI(issuer, id), ID: id, Size: l.Size(), Bits: l.Bytes()}
}
