package client

import (
	"net/netip"
	"strings"
)

// hostName says what is wrong with a host name or IPv4 address: it must be in
// lower case, of letters, digits and hyphens, without a trailing dot, and not
// a number in disguise (browsers read "0x7f.1" as 127.0.0.1).
func hostName(host string) string {
	if host == "" {
		return "has no host"
	}
	if len(host) > 253 {
		return "has a host longer than 253 bytes"
	}
	labels := strings.Split(host, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return "has a host with an empty or broken label"
		}
		for i := 0; i < len(l); i++ {
			c := l[i]
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return "has a host that is not lower-case letters, digits and hyphens"
			}
		}
	}
	last := labels[len(labels)-1]
	if last[0] < '0' || last[0] > '9' {
		return ""
	}
	if a, err := netip.ParseAddr(host); err != nil || a.String() != host {
		return "has a host that ends in a number and is not an IPv4 address"
	}
	return ""
}

// ipv6 reports whether s is an IPv6 address as RFC 5952 writes it, no zone.
func ipv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6() && !a.Is4In6() && a.Zone() == "" && a.String() == s
}
