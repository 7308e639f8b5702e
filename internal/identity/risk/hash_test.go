package risk

import (
	"fmt"
	"testing"

	"github.com/cardea-id/cardea/internal/secret"
)

func TestNetworks(t *testing.T) {
	for _, c := range []struct{ ip, network, near string }{
		{"192.0.2.7", "192.0.2.7/32", "192.0.0.0/16"},
		{"::ffff:192.0.2.7", "192.0.2.7/32", "192.0.0.0/16"},
		{"2001:db8:1:2ff:a::1", "2001:db8:1:200::/56", "2001:db8::/32"},
		{"fe80::1%eth0", "fe80::/56", "fe80::/32"},
		{"127.0.0.1", "", "127.0.0.0/16"}, // a proxy that we are not told to trust
		{"::1", "", "::/32"},
		{"", "", ""},
		{"nonsense", "", ""},
	} {
		if network, near := networkOf(c.ip), nearOf(c.ip); network != c.network || near != c.near {
			t.Errorf("%s: %q in %q, want %q in %q", c.ip, network, near, c.network, c.near)
		}
	}
}

// The echo of a password says next to nothing: a thousandth of all passwords has
// the same, in another realm and on another day it is another one.
func TestEchoesSayNextToNothing(t *testing.T) {
	key := []byte("test")
	seen, same := map[int]int{}, 0
	for i := range 20_000 {
		p := secret.Text(fmt.Sprint("password ", i))
		one := hashPassword(key, "r", "2026-01-05", p)
		if one < 0 || one >= echoes {
			t.Fatalf("an echo of %d", one)
		}
		seen[one]++
		if hashPassword(key, "r", "2026-01-06", p) == one && hashPassword(key, "s", "2026-01-05", p) == one {
			same++
		}
	}
	if len(seen) != echoes || same > 5 {
		t.Errorf("%d echoes, %d of them the same elsewhere", len(seen), same)
	}
}
