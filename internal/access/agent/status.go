package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// bundle is how an OPA is with a bundle.
type bundle struct {
	Revision  string    `json:"active_revision"`
	Activated time.Time `json:"last_successful_activation"`
	Code      string    `json:"code"`
	Message   string    `json:"message"`
	Errors    lines     `json:"errors"`
}

func (b *bundle) report(name string) BundleReport {
	one := BundleReport{Name: said(name, 128), Revision: said(b.Revision, 128), ActivatedAt: b.Activated}
	if b.Code != "" || b.Message != "" {
		one.Problem = said(strings.TrimSpace(b.Code+": "+b.Message)+string(b.Errors), maxSaid)
	}
	return one
}

// bundles are as many as are reported. More are not kept while they are read, nor are
// all errors of one: what is sent as two bytes would take a hundred.
type bundles []BundleReport

func (all *bundles) UnmarshalJSON(text []byte) error {
	return each(text, '{', func(dec *json.Decoder) (bool, error) {
		name, err := dec.Token()
		if err != nil {
			return false, err
		}
		var b *bundle
		if err := dec.Decode(&b); err != nil {
			return false, err
		}
		if b != nil {
			*all = append(*all, b.report(name.(string)))
		}
		return len(*all) < mostBundles, nil
	})
}

// lines is the beginning of a list, of which each begins a line.
type lines string

func (l *lines) UnmarshalJSON(text []byte) error {
	*l = ""
	return each(text, '[', func(dec *json.Decoder) (bool, error) {
		var one start
		err := dec.Decode(&one)
		*l += "\n" + lines(one)
		return len(*l) <= maxSaid, err
	})
}

// each reads what is in a list or an object one after the other, as long as more is
// wanted.
func each(text []byte, kind json.Delim, read func(*json.Decoder) (more bool, err error)) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	switch t, err := dec.Token(); {
	case err != nil || t == nil: // null
		return err
	case t != kind:
		return errors.New("another kind of value")
	}
	for dec.More() {
		if more, err := read(dec); err != nil || !more {
			return err
		}
	}
	return nil
}

// start is the beginning of a value, at most of the bytes that count of a decision.
type start []byte

func (s *start) UnmarshalJSON(text []byte) error {
	*s = append((*s)[:0], text[:min(len(text), maxDecision)]...)
	return nil
}

// known is a name that counts among others that others choose. Those are all one, so
// that a map of them has few members.
type known string

func (k *known) UnmarshalText(name []byte) error {
	switch string(name) {
	case "id", "version", "allow", "allowed", "decision", BundleFacts, BundlePolicy:
		*k = known(name)
	}
	return nil
}

// ReadStatus reads the status report of an OPA.
func ReadStatus(text []byte) (Report, error) {
	var in struct {
		Labels    map[known]string `json:"labels"`
		Bundles   bundles          `json:"bundles"`
		Discovery *bundle          `json:"discovery"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return Report{}, fault.New(fault.Invalid, "status_invalid", "this is no status report of OPA")
	}
	r := Report{ID: said(in.Labels["id"], 256), Kind: KindOPA, Version: said(in.Labels["version"], 64)}
	if r.ID == "" {
		return Report{}, fault.New(fault.Invalid, "status_invalid", "the report has no label id")
	}
	if r.Bundles = in.Bundles; in.Discovery != nil {
		r.Bundles = append(r.Bundles[:min(len(r.Bundles), mostBundles-1)], in.Discovery.report("discovery"))
	}
	slices.SortFunc(r.Bundles, func(a, b BundleReport) int { return strings.Compare(a.Name, b.Name) })
	return r, nil
}

// said is a text of somebody else's, cut short and printable.
func said(s string, most int) string {
	if len(s) > most {
		s = strings.Clone(s[:most]) // and not the whole kept with it
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
