package verify

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/statuslist"
)

// believer is a state with a clock that the test moves, and one list.
func believer(t *testing.T) (s *state, now *time.Time) {
	t.Helper()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s = newState(&Config{MaxStateBytes: 1 << 20, Now: func() time.Time { return at }})
	if _, err := s.load(&statuslist.Snapshot{Pos: at10, Lists: []statuslist.List{{URI: "l", Size: 8}}}); err != nil {
		t.Fatal(err)
	}
	return s, &at
}

var at10 = statuslist.Position{Epoch: 1, Seq: 10}

func principal(id string, seq int64, exp time.Time) statuslist.Cutoff {
	c := statuslist.Cutoff{Kind: statuslist.CutPrincipal, ID: id, Pos: statuslist.Position{Epoch: 1, Seq: seq}}
	if !exp.IsZero() {
		c.Exp = exp.Unix()
	}
	return c
}

func of(subject string, seq int64) *Token {
	return &Token{Subject: subject, status: statuslist.Ref{URI: "l"}, minted: statuslist.Position{Epoch: 1, Seq: seq}}
}

func dies(s *state, t *Token) bool { return errors.Is(s.check(t), ErrRevoked) }

func tell(t *testing.T, s *state, cuts ...statuslist.Cutoff) {
	t.Helper()
	if _, err := s.apply(&statuslist.Delta{Pos: cuts[len(cuts)-1].Pos, Cutoffs: cuts}); err != nil {
		t.Fatal(err)
	}
}

// A day of 100,000 suspensions where tokens live ten minutes: no more is held
// than what may still refuse a token, and that refuses.
func TestCutoffsAreForgottenWhenTheirTokensHaveExpired(t *testing.T) {
	s, now := believer(t)
	const life = 20 * time.Minute
	for n := range int64(5000) {
		id := fmt.Sprint("usr_", n)
		tell(t, s, principal(id, 11+n, now.Add(life)))
		if !dies(s, of(id, 10+n)) {
			t.Fatal("a cut-off does not cut")
		}
		*now = now.Add(24 * time.Hour / 100_000)
		if held := len(s.view.Load().cutoffs); held > 1+int(life/(24*time.Hour/100_000)) {
			t.Fatalf("%d cut-offs are held", held)
		}
	}
	*now = now.Add(life)
	if _, err := s.load(&statuslist.Snapshot{Pos: at10, Lists: []statuslist.List{{URI: "l", Size: 8}}}); err != nil {
		t.Fatal(err)
	}
	if held := len(s.view.Load().cutoffs); held != 0 {
		t.Errorf("%d are held after a snapshot that has none", held)
	}
}

// An issuer that does not say when, and a key whose thief writes any time.
func TestCutoffsWithoutAnEndStayForADay(t *testing.T) {
	s, now := believer(t)
	tell(t, s, principal("usr_1", 11, time.Time{}))
	*now = now.Add(24*time.Hour + 10*time.Minute)
	tell(t, s, principal("usr_2", 12, time.Time{}))
	if !dies(s, of("usr_1", 10)) {
		t.Error("it was forgotten while a token of a day may live")
	}
	*now = now.Add(time.Hour)
	tell(t, s, principal("usr_3", 13, time.Time{}))
	if len(s.view.Load().cutoffs) != 2 {
		t.Errorf("%d cut-offs are held", len(s.view.Load().cutoffs))
	}
}

// Deltas are believed before they are signed for, since they only kill: one
// that names an end in the past must not end what another one said.
func TestACutoffNeverShrinks(t *testing.T) {
	s, now := believer(t)
	tell(t, s, principal("usr_1", 20, now.Add(time.Hour)))
	tell(t, s, principal("usr_1", 21, now.Add(-time.Hour)))
	tell(t, s, principal("usr_1", 11, now.Add(-time.Hour)))
	*now = now.Add(50 * time.Minute)
	tell(t, s, principal("usr_2", 22, now.Add(time.Hour)))
	if !dies(s, of("usr_1", 19)) {
		t.Error("a forged delta brought tokens back")
	}
	// The issuer says later that it is needed for longer.
	tell(t, s, principal("usr_1", 20, now.Add(2*time.Hour)))
	*now = now.Add(time.Hour)
	tell(t, s, principal("usr_3", 23, now.Add(time.Hour)))
	if !dies(s, of("usr_1", 19)) {
		t.Error("the later end does not count")
	}
}
