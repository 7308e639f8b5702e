package risk

import (
	"encoding/base64"
	"encoding/binary"
	"net/netip"

	"github.com/cardea-id/cardea/internal/secret"
)

// echoes is how many hashes of wrong passwords there are: ten bits, so that a
// thousandth of all passwords fits each.
const echoes = 1024

// networkOf is the network that an address stands for: an IPv4 address itself,
// and of IPv6 what one customer is given (RFC 6177, section 2). It is "" for no
// address, and for a loopback one: that is a proxy that we are not told to trust,
// behind which is everybody.
func networkOf(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.Unmap().IsLoopback() {
		return ""
	}
	bits := 32
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 56
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// nearOf is the surroundings of an address, among which providers move their
// customers about. It is "" for no address.
func nearOf(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	bits := 16
	if a = a.Unmap().WithZone(""); a.Is6() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// hashNetwork is how a network is kept.
func hashNetwork(key []byte, realm, network string) string {
	if network == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(secret.Derive(key, "cardea/risk/network/v1", realm, network)[:12])
}

// hashAccount tells accounts apart that one network tries.
func hashAccount(key []byte, realm, subject string) uint32 {
	return binary.BigEndian.Uint32(secret.Derive(key, "cardea/risk/account/v1", realm, subject))
}

// hashPassword is the echo of a wrong password. It changes every day.
func hashPassword(key []byte, realm, day string, password secret.Text) int {
	return int(binary.BigEndian.Uint32(secret.Derive(key, "cardea/risk/password/v1", realm, day, string(password))) % echoes)
}
