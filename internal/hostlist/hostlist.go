// Package hostlist owns the lists of hosts that events may be posted to: what a
// pattern is, and which URL it covers. It resolves no name and dials nobody.
package hostlist

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// List is a list of hosts. The zero List is empty and allows every host. It is
// safe for concurrent use.
type List struct {
	exact map[string]bool
	under []string // each begins with a dot
}

// Parse makes a List of patterns: a host such as hooks.example.com or an IP
// address, or *.example.com, which covers all names below example.com and not
// example.com itself. Upper and lower case are the same, and so are a name and
// its punycode, with a dot at the end or without. Ports cannot be named.
func Parse(patterns []string) (List, error) {
	l := List{exact: make(map[string]bool)}
	for i, pattern := range patterns {
		name, wild := strings.CutPrefix(pattern, "*.")
		host, err := normal(name)
		if err != nil || wild && isAddress(host) {
			return List{}, fmt.Errorf("wrong at item %d: it must be a host such as hooks.example.com, or *.example.com, without scheme, port and path", i+1)
		}
		if wild {
			l.under = append(l.under, "."+host)
		} else {
			l.exact[host] = true
		}
	}
	return l, nil
}

// Allows reports whether the list covers the host of a URL, or is empty.
func (l List) Allows(rawURL string) bool {
	if len(l.exact) == 0 && len(l.under) == 0 {
		return true
	}
	return l.Covers(rawURL)
}

// Covers reports whether the list names the host of a URL. An empty list names none.
func (l List) Covers(rawURL string) bool {
	u, err := url.Parse(rawURL)
	if err != nil {
		return false
	}
	host, err := normal(u.Hostname())
	if err != nil {
		return false
	}
	if l.exact[host] {
		return true
	}
	for _, suffix := range l.under {
		if len(host) > len(suffix) && strings.HasSuffix(host, suffix) && !isAddress(host) {
			return true
		}
	}
	return false
}

var errHost = errors.New("not a host")

// normal is the one form of a host that is compared: what net/http dials.
func normal(host string) (string, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String(), nil
	}
	host = strings.TrimSuffix(host, ".")
	if isASCII(host) {
		host = strings.ToLower(host)
	} else {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", errHost
		}
		host = ascii
	}
	if host == "" || strings.HasPrefix(host, ".") || strings.Contains(host, "..") || strings.ContainsFunc(host, notInName) {
		return "", errHost
	}
	return host, nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f })
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
