// Package address owns what an address says by itself, be it of a URL, of a request
// or to listen on: its host, and whether that is this machine or in a network that is
// not public. It looks up no name and dials nobody. Which addresses callbacks may
// reach is decided by hostlist, closed and webhook. name.go is about names, network.go
// about IP addresses.
package address

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// HostOf returns the host of a URL in lower case, with its port if the URL names one;
// "" if the URL cannot be parsed or has no host. It is all of a URL that may be shown
// or logged: user, path and query can be secret.
func HostOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// NameOf returns a host in lower case, without its port and its brackets. The host may
// be that of a URL, of a request or of an address to listen on. A dot at its end stays:
// "shop." is a domain of the Internet, and "shop" a name of this network first.
func NameOf(hostPort string) string {
	name := hostPort
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		name = host
	} else if inner, found := strings.CutPrefix(hostPort, "["); found && strings.HasSuffix(inner, "]") {
		name = strings.TrimSuffix(inner, "]")
	}
	return strings.ToLower(name)
}

// IsLoopback reports whether a host, with a port or without, names the machine that
// it is used on, so that what is sent there crosses no network: a loopback address,
// localhost, or a name under it (RFC 6761). An address in a form that only some
// programs read, such as 127.1, is none.
func IsLoopback(hostPort string) bool {
	name := strings.TrimSuffix(NameOf(hostPort), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}
