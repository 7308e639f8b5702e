package web

import (
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks whose word on the client's address is believed.
// The zero value believes nobody. Nothing else of what proxies say (Host,
// X-Forwarded-Host, X-Forwarded-Proto, Forwarded) is ever read.
type Proxies struct{ nets []netip.Prefix }

// NewProxies believes proxies in these networks.
func NewProxies(networks []netip.Prefix) Proxies {
	var p Proxies
	for _, n := range networks {
		if n.Addr().Is4In6() && n.Bits() >= 96 {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
		}
		p.nets = append(p.nets, n.Masked())
	}
	return p
}

func (p *Proxies) trusts(a netip.Addr) bool {
	for _, n := range p.nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// client walks X-Forwarded-For from the right, over trusted proxies, to the
// first address that is none. Something unreadable on the way ends the walk at
// the last proxy that was readable: a forged header can hide a client behind
// its proxy, never behind another client.
func (p *Proxies) client(peer netip.Addr, h http.Header) netip.Addr {
	last := peer
	lines := h["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for rest != "" {
			var hop string
			if j := strings.LastIndexByte(rest, ','); j >= 0 {
				rest, hop = rest[:j], rest[j+1:]
			} else {
				rest, hop = "", rest
			}
			a, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				return last
			}
			if !p.trusts(a) {
				return a
			}
			last = a
		}
	}
	return last
}

// parseHop reads an address, with the port that some proxies add.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}
