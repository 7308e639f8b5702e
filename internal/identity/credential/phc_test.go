package credential

import (
	"strings"
	"testing"
	"time"
)

func FuzzParseHash(f *testing.F) {
	tail := "$c29tZXNhbHRzb21lc2FsdA$" + strings.Repeat("A", 43)
	for _, seed := range []string{
		"$argon2id$v=19$m=19456,t=2,p=1" + tail, "$scrypt$ln=14,r=8,p=1" + tail, "$pbkdf2-sha256$29000" + tail, "$pbkdf2$i=1,l=32" + tail,
		"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$argon2id$v=19$m=4294967295,t=2,p=1" + tail, "$", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseHash(text)
		if err != nil {
			return
		}
		switch h := v.(type) {
		case argonHash:
			if h.memory > maxMemory || h.passes > maxPasses || h.passes < 1 || h.lanes > maxLanes || h.lanes < 1 || len(h.sum) < 16 || len(h.salt) < 8 {
				t.Errorf("%q is accepted as %+v", text, h)
			}
		case scryptHash:
			if uint64(128)<<h.log*uint64(h.block) > maxMemory<<10 || h.lanes > maxScryptLanes || h.lanes < 1 {
				t.Errorf("%q is accepted as %+v", text, h)
			}
		case pbkdf2Hash:
			if h.rounds > maxPBKDF2Rounds || h.rounds < 1 {
				t.Errorf("%q is accepted as %+v", text, h)
			}
		}
	})
}

// Whoever measures how long a sign-in takes must not learn who there is. The
// quickest of several runs, taken in turns, is what a hash costs when nothing
// disturbs; without one it would cost a thousandth.
func TestNobodyCostsWhatSomebodyCosts(t *testing.T) {
	somebody, err := parseHash(preferred.hash("lantern quarry mild otter"))
	if err != nil {
		t.Fatal(err)
	}
	cost := func(v verifier) time.Duration {
		start := time.Now()
		if v.matches("lantern quarry mild adder") {
			t.Error("a wrong password matched")
		}
		return time.Since(start)
	}
	a, b := time.Hour, time.Hour
	for range 10 {
		a, b = min(a, cost(somebody)), min(b, cost(decoy{preferred}))
	}
	if ratio := float64(a) / float64(b); ratio < 0.4 || ratio > 2.5 {
		t.Errorf("a wrong password costs %v, nobody's %v", a, b)
	}
}
