package id_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cardea-id/cardea/internal/id"
)

func TestIdentifiersSortByTime(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last := ""
	for i := range 1000 {
		next := id.New("usr", now.Add(time.Duration(i)*time.Millisecond))
		if next <= last {
			t.Fatalf("%s does not sort after %s", next, last)
		}
		if !id.Valid("usr", next) || id.Valid("cli", next) || id.Kind(next) != "usr" {
			t.Fatalf("%s is not recognised", next)
		}
		last = next
	}
}

func TestValidRefusesWhatNewNeverMakes(t *testing.T) {
	for _, s := range []string{"", "usr", "usr_", "usr_short", "usr_0123456789abcdefghjkmnpqrU", "usr_0123456789abcdefghjkmnpqrst1", "usr_0123456789abcdefghjk'; --"} {
		if id.Valid("usr", s) {
			t.Errorf("Valid(%q)", s)
		}
	}
}

func TestASourceMakesFreshIdentifiers(t *testing.T) {
	now, seen := time.UnixMilli(1_800_000_000_123), map[string]bool{}
	var a, b id.Source
	for range 100 {
		for _, one := range []string{a.New("dec", now), b.New("dec", now)} {
			if at, ok := id.Time("dec", one); !ok || !at.Equal(now) || seen[one] || seen[one[14:22]] || seen[one[22:]] {
				t.Fatalf("%s is not fresh", one)
			}
			seen[one], seen[one[14:22]], seen[one[22:]] = true, true, true
		}
	}
}

func TestBitsAreThoseOfTheIdentifier(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_123)
	for range 100 {
		one := id.New("dec", now)
		b, ok := id.Bytes("dec", one)
		if !ok || id.Of("dec", b) != one {
			t.Fatalf("%s becomes %s", one, id.Of("dec", b))
		}
	}
	one := id.New("dec", now)
	for _, other := range []string{"", "dec_", one[:len(one)-1], one + "0", "usr" + one[3:], one[:10] + "u" + one[11:], one[:len(one)-1] + "1", strings.ToUpper(one)} {
		if _, ok := id.Bytes("dec", other); ok {
			t.Errorf("%q has bits", other)
		}
	}
}
