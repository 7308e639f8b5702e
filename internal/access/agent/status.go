package agent

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// The kinds of agents.
const (
	KindOPA  = "opa"
	KindOPAL = "opal"
)

// Report is what an agent said of itself last.
type Report struct {
	Client, ID, Kind, Version string
	Bundles                   []BundleReport
	FirstSeen, SeenAt         time.Time
}

// BundleReport is what an agent has of one bundle.
type BundleReport struct {
	Name        string    `json:"name"`
	Revision    string    `json:"revision,omitempty"`
	ActivatedAt time.Time `json:"activated_at,omitzero"`
	Problem     string    `json:"problem,omitempty"` // why the newest is not in use
}

// Healthy reports whether the agent uses everything that it got.
func (r *Report) Healthy() bool {
	return !slices.ContainsFunc(r.Bundles, func(b BundleReport) bool { return b.Problem != "" })
}

// Bounds of what agents say. Reports of agents that are silent for long are
// forgotten.
const (
	MaxStatus   = 1 << 20 // bytes of a report
	mostAgents  = 10_000  // in a realm
	mostBundles = 64
	maxSaid     = 2000 // bytes of a problem
	silentFor   = 30 * 24 * time.Hour
	gatherFor   = time.Second // reports are written together
	mostHeld    = 20_000
)

// ReadStatus reads the status report of an OPA.
func ReadStatus(text []byte) (Report, error) {
	type bundle struct {
		Name      string            `json:"name"`
		Revision  string            `json:"active_revision"`
		Activated time.Time         `json:"last_successful_activation"`
		Code      string            `json:"code"`
		Message   string            `json:"message"`
		Errors    []json.RawMessage `json:"errors"`
	}
	var in struct {
		Labels    map[string]string  `json:"labels"`
		Bundles   map[string]*bundle `json:"bundles"`
		Discovery *bundle            `json:"discovery"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return Report{}, fault.New(fault.Invalid, "status_invalid", "this is no status report of OPA")
	}
	r := Report{ID: said(in.Labels["id"], 256), Kind: KindOPA, Version: said(in.Labels["version"], 64)}
	if r.ID == "" {
		return Report{}, fault.New(fault.Invalid, "status_invalid", "the report has no label id")
	}
	if in.Discovery != nil {
		if in.Bundles == nil {
			in.Bundles = map[string]*bundle{}
		}
		in.Bundles["discovery"] = in.Discovery
	}
	for _, name := range slices.Sorted(maps.Keys(in.Bundles)) {
		b := in.Bundles[name]
		if b == nil || len(r.Bundles) == mostBundles {
			continue
		}
		one := BundleReport{Name: said(name, 128), Revision: said(b.Revision, 128), ActivatedAt: b.Activated}
		if b.Code != "" || b.Message != "" {
			problem := strings.TrimSpace(b.Code + ": " + b.Message)
			for _, e := range b.Errors {
				if problem += "\n" + string(e); len(problem) > maxSaid {
					break
				}
			}
			one.Problem = said(problem, maxSaid)
		}
		r.Bundles = append(r.Bundles, one)
	}
	return r, nil
}

// said is a text of somebody else's, cut short and printable.
func said(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' || c == 0x7f || c == utf8.RuneError {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, ""))
}

type reporter struct{ realm, client, id string }

// Reported takes what an agent of a client says of itself. It is written soon.
func (p *Plane) Reported(realm, client string, r Report) {
	r.Client, r.SeenAt = client, p.o.DB.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	k := reporter{realm, client, r.ID}
	if _, known := p.reports[k]; known || len(p.reports) < mostHeld {
		p.reports[k] = r
	}
	p.gather.Poke()
}

// Start begins to write reports. Close ends it.
func (p *Plane) Start() { p.gather.Start() }

// Close writes what is left and ends.
func (p *Plane) Close() {
	if err := p.gather.Close(); err != nil {
		p.o.Logger.Warn("the last reports of agents are not written", "err", err)
	}
}

// write writes the reports that have gathered. A report changes nothing of what
// anybody may do, so it has no event.
func (p *Plane) write(ctx context.Context) error {
	p.mu.Lock()
	held := p.reports
	p.reports = map[reporter]Report{}
	p.mu.Unlock()
	byRealm := map[string][]Report{}
	for k, r := range held {
		byRealm[k.realm] = append(byRealm[k.realm], r)
	}
	for realm, list := range byRealm {
		slices.SortFunc(list, func(a, b Report) int { return strings.Compare(placeOf(a), placeOf(b)) }) // nodes lock in one order
		for some := range slices.Chunk(list, 500) {
			err := p.o.DB.UpdateRC(ctx, realm, func(tx *db.Tx) error {
				for _, r := range some {
					if err := put(tx, r); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Agents lists up to limit agents of a realm, and where to go on, "" at the end.
func (p *Plane) Agents(ctx context.Context, realm, after string, limit int) ([]Report, string, error) {
	client, id, err := place(after)
	if err != nil {
		return nil, "", err
	}
	if err := p.write(ctx); err != nil {
		return nil, "", err
	}
	return db.Page(ctx, p.o.DB, realm, limit, 500, func(tx *db.Tx, limit int) ([]Report, error) { return page(tx, client, id, limit) }, placeOf)
}

// Collect forgets agents that are silent for long.
func (p *Plane) Collect(ctx context.Context, realm string) (n int64, err error) {
	err = p.o.DB.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		n, err = forget(tx, tx.Now.Add(-silentFor))
		return err
	})
	return n, err
}
