package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// origin is the scheme, host and port of an address that codes and tokens may
// be sent to: it is encrypted, or it does not leave this machine. Names below
// localhost are not taken for this machine, since not every resolver does.
func origin(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", fmt.Errorf("%q is not an address such as https://id.example.com", address)
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	ip := net.ParseIP(host)
	here := host == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !here) {
		return "", fmt.Errorf("%s is not encrypted: give an https address (http only for localhost)", u)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && port != map[string]string{"https": "443", "http": "80"}[u.Scheme] {
		host += ":" + port
	}
	return u.Scheme + "://" + host, nil
}
