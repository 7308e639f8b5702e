package risk

import (
	"cmp"
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
)

// SignIn is somebody who has proved who they are and is about to be signed in.
type SignIn struct {
	Principal string
	Browser   string // the mark in the browser's cookie, or ""
	Password  bool   // they proved it by a password, which others can know
	// Beside asks what the caller wants to know at the same time; nil is nothing.
	Beside func(tx *db.Tx) (look func() error)
}

// Verdict is what a sign-in has to meet. The zero Verdict is nothing.
type Verdict struct {
	// StepUp demands the second assurance level of this sign-in. Where the person
	// has nothing to reach it with, a code to their verified address must do.
	StepUp bool
	// Refuse says that this sign-in opens nothing. Whoever tried is to be told
	// the same as about a wrong password; the person was told by letter.
	Refuse   bool
	Calm     bool // nothing was held against the person, so there is nothing to release
	Findings []Finding
}

// Assess is asked when somebody has proved who they are, before a session is
// begun or renewed. It notes, tells, locks and revokes by itself; the caller
// obeys the verdict.
func (g *Guard) Assess(ctx context.Context, by audit.Actor, name string, in SignIn) (v Verdict, err error) {
	rl, err := g.Realms.ByName(ctx, name)
	if err != nil {
		return v, err
	}
	shown := networkOf(by.IP)
	var found []Finding
	err = g.DB.Glance(ctx, name, func(tx *db.Tx) error {
		habits := credential.AskHabits(tx, in.Principal)
		known, held := credential.AskKnown(tx, in.Principal, in.Browser), askHeld(tx, in.Principal, hashNetwork(g.Key, name, shown))
		beside := func() error { return nil }
		if in.Beside != nil {
			beside = in.Beside(tx)
		}
		familiar, err := known()
		if err != nil {
			return err
		}
		if err := beside(); err != nil {
			return err
		}
		holds, memory, err := held()
		if err != nil {
			return err
		}
		v, found, err = g.judge(tx, by, in.Password, familiar, holds, func() (*person, error) {
			p := new(person)
			if err := json.Unmarshal([]byte(memory), p); err != nil {
				return nil, err
			}
			return withHabits(p, habits)
		})
		return err
	})
	if err != nil || len(found) == 0 {
		return v, err
	}
	ended := false
	err = g.DB.UpdateRC(ctx, name, func(tx *db.Tx) error {
		ended, v.Findings, v.Calm = false, nil, false
		p, err := lockPerson(tx, in.Principal)
		if err != nil {
			return err
		}
		told := false
		for _, f := range hardestFirst(rl.Settings, found) {
			done := actionFor(rl.Settings, f.Detector)
			if done == Off {
				continue
			}
			v.Findings = append(v.Findings, f)
			v.StepUp = v.StepUp || done >= StepUp
			v.Refuse = v.Refuse || done >= Lock && in.Password
			if !p.again(tx.Now, f.Detector) {
				continue
			}
			_, dead, err := g.raise(tx, by, rl.Settings, signal{Finding: f, principal: in.Principal, shown: shown, quiet: told})
			told = true
			if err != nil {
				return err
			}
			ended = ended || dead
		}
		return writePerson(tx, in.Principal, p)
	})
	if ended {
		err = g.finish(ctx, by, name, in.Principal, err)
	}
	return v, err
}

// judge tells what a sign-in has to meet, and what looks wrong about it.
func (g *Guard) judge(tx *db.Tx, by audit.Actor, password, known bool, holds []hold, memory func() (*person, error)) (v Verdict, found []Finding, err error) {
	s := g.scene(tx.Now, proved, by)
	s.known = known
	network := hashNetwork(g.Key, tx.Realm, networkOf(by.IP))
	v.Calm = true
	for _, h := range holds {
		v.Calm = v.Calm && h.subject == network
		switch {
		case h.subject == network:
			s.flagged = append(s.flagged, h.detector)
		case known: // strangers' doings are no matter of the owner's browser
			v.StepUp = v.StepUp || h.action == StepUp
		case h.action >= StepUp:
			v.StepUp = true
			v.Refuse = v.Refuse || h.action >= Lock && password
		}
	}
	if known {
		return v, nil, nil
	}
	s.near = hashNetwork(g.Key, tx.Realm, nearOf(by.IP))
	if s.person, err = memory(); err != nil {
		return v, nil, err
	}
	return v, s.look(g.limits), nil
}

// hardestFirst has what most is done about before the rest, so that the person
// gets one letter, about the thing that matters.
func hardestFirst(s realm.Settings, found []Finding) []Finding {
	return slices.SortedStableFunc(slices.Values(found), func(a, b Finding) int {
		return cmp.Compare(actionFor(s, b.Detector), actionFor(s, a.Detector))
	})
}

// scene sets out what is seen of whoever acts.
func (g *Guard) scene(now time.Time, k kind, by audit.Actor) *scene {
	s := &scene{kind: k, now: now, device: Device(by.UserAgent), person: &person{}, source: &source{}, echo: &echo{}, far: g.Places.Kilometres}
	if a, err := netip.ParseAddr(by.IP); err == nil {
		s.place = g.Places.Place(a)
	}
	return s
}

// Memory is what is remembered of a person, in the serializable transaction that
// begins or renews a session of theirs.
type Memory struct {
	guard     *Guard
	tx        *db.Tx
	principal string
	known     *person // nil until it is wanted
	usual     bool    // the browser comes as it did before: see [Memory.Habit]
}

// MemoryTx is what is remembered of a person. It is read when somebody wants it.
func (g *Guard) MemoryTx(tx *db.Tx, principal string) *Memory {
	return &Memory{guard: g, tx: tx, principal: principal}
}

func (m *Memory) person() (p *person, err error) {
	if m.known == nil {
		m.known, err = askPerson(m.tx, m.principal)()
	}
	return m.known, err
}

// Quiet reports whether nothing is held against a sign-in, and nothing looks wrong
// about it either, so that [Guard.Assess] would do nothing and say nothing; else Assess
// has to be asked, before there is a session. flagged is the principal's, as this
// transaction read it, and known says whether the browser has signed in to the account
// before. Then networks do not matter, and nothing is left to look for.
func (m *Memory) Quiet(by audit.Actor, in SignIn, flagged, known bool) (bool, error) {
	if flagged || known {
		return !flagged, nil
	}
	holds, err := holdsOn(m.tx, "", hashNetwork(m.guard.Key, m.tx.Realm, networkOf(by.IP)))()
	if err != nil {
		return false, err
	}
	v, found, err := m.guard.judge(m.tx, by, in.Password, known, holds, m.person)
	return v.Calm && !v.StepUp && !v.Refuse && len(found) == 0, err
}

// Remember remembers how somebody signed in, when the session has begun, and
// releases what waited for a proof as strong as theirs. Where the verdict on the
// sign-in was calm a moment ago, nothing did; what is held since then stays.
func (m *Memory) Remember(e *session.Session, calm bool) error {
	if !m.usual {
		if err := m.note(e); err != nil {
			return err
		}
	}
	// Below the second level, two ways are a password and a code by mail, which is
	// the proof of those who have no factor.
	if calm || !slices.Contains([]string{"aal2", "aal3"}, e.ACR) && len(e.AMR) < 2 {
		return nil
	}
	return releaseSubject(m.tx, m.principal)
}

func (m *Memory) note(e *session.Session) error {
	g, tx := m.guard, m.tx
	s := g.scene(tx.Now, proved, audit.Actor{IP: e.IP, UserAgent: e.UserAgent})
	p, err := m.person()
	if err != nil || !p.note(tx.Now, s.device, hashNetwork(g.Key, tx.Realm, nearOf(e.IP)), s.place) {
		return err
	}
	// That others write it too is a conflict, so nothing that they remember gets lost.
	return writePerson(tx, m.principal, p)
}

// Place tells where an address is, for people to read.
func (g *Guard) Place(ip string) (country string) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	return g.Places.Place(a).Country
}

// collectChunk is how many rows of a table one call of Collect deletes.
const collectChunk = 1000

// Collect deletes what no detector looks at any more, and incidents closed long
// ago. One call does a bounded amount of work; the caller comes again while it
// deletes much.
func (g *Guard) Collect(ctx context.Context, name string) (deleted int64, err error) {
	err = g.DB.UpdateRC(ctx, name, func(tx *db.Tx) error {
		deleted, err = sweep(tx, collectChunk)
		return err
	})
	return deleted, err
}

// HoldsTx reports whether anything is held against a person, also if its time is over.
func HoldsTx(tx *db.Tx, principal string) (bool, error) { return holds(tx, principal) }

// ForgetTx erases what is remembered of a person who is deleted.
func ForgetTx(tx *db.Tx, principal string) error {
	if err := releaseSubject(tx, principal); err != nil {
		return err
	}
	return forgetPerson(tx, principal)
}
