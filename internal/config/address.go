package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The errors about URLs show no URL, for it may hold a password or a token.

// checkRedisURL returns the URL as it is. It looks at the scheme alone: what
// follows differs from scheme to scheme, and is for who dials to read. A list of
// hosts, for one, is no URL to net/url.
func checkRedisURL(text string) (string, error) {
	scheme, _, _ := strings.Cut(text, "://")
	switch {
	case strings.ContainsFunc(text, isSpaceOrControl):
		return "", errors.New("a URL with white space or control characters: percent-encode what is special in a password")
	case !slices.Contains([]string{"redis", "rediss", "redis-socket", "redis-sentinel", "rediss-sentinel", "redis-cluster", "rediss-cluster"}, scheme):
		return "", errors.New("not a Redis URL: write one that starts with " +
			"redis://, rediss://, redis-socket://, redis-sentinel://, rediss-sentinel://, redis-cluster:// or rediss-cluster://")
	}
	return text, nil
}

// parseBaseURL takes what paths can be appended to, and returns it without a
// slash at the end, the scheme in small letters.
func parseBaseURL(text string) (string, error) {
	u, err := parseHTTPURL(text)
	if err != nil {
		return "", err
	}
	if strings.Contains(text, "?") || u.User != nil {
		return "", errors.New("more than a base URL: write scheme, host and path alone, without user and query")
	}
	_, rest, _ := strings.Cut(text, ":")
	return strings.TrimRight(u.Scheme+":"+rest, "/"), nil
}

// parseCallbackURL takes where events are posted to. A query is part of it.
func parseCallbackURL(text string) (string, error) {
	u, err := parseHTTPURL(text)
	if err != nil {
		return "", err
	}
	if u.User != nil {
		return "", errors.New("with a user in it: write it without, for callback URLs are stored and logged")
	}
	return u.String(), nil
}

// parseHTTPURL takes an absolute http or https URL without a fragment.
func parseHTTPURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("not an absolute URL: write one that starts with https:// (or http://) and a host")
	case u.Port() != "" && !isPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return nil, errors.New("a URL with a wrong port: write 1 to 65535, or leave it out")
	case strings.Contains(text, "#"):
		return nil, errors.New("a URL with a fragment: write it without # and what follows")
	}
	return u, nil
}

// checkListen returns host:port as it is. The host may be empty, the port 0.
func checkListen(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || strings.ContainsFunc(host, isSpaceOrControl) || strings.Contains(host, "/") {
		return "", errors.New("not an address: write host:port, such as :8080 or 127.0.0.1:8080")
	}
	if port != "0" && !isPort(port) {
		return "", errors.New("an address with a wrong port: write 0 to 65535")
	}
	return text, nil
}

// isPort says whether the text is 1 to 65535.
func isPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

// parseHosts takes a list of hosts and wildcards and returns them as they are.
func parseHosts(text string) ([]string, error) {
	return parseList(text, func(item string) (string, error) {
		name := strings.TrimPrefix(item, "*.")
		_, notAddress := netip.ParseAddr(name)
		if name == "" || strings.ContainsAny(name, "*/@?#[]") || strings.Contains(name, ":") && notAddress != nil || strings.ContainsFunc(name, isSpaceOrControl) {
			return "", errors.New("it must be a host such as hooks.example.com, or *.example.com, without scheme, port and path")
		}
		return item, nil
	})
}

// parseNetworks takes a list of networks and single addresses.
func parseNetworks(text string) ([]netip.Prefix, error) {
	return parseList(text, parseNetwork)
}

// parseNetwork takes a network, or an address as the network of it alone. It
// takes no bits outside the mask, for such a network is wider than it looks.
func parseNetwork(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if addr, addrErr := netip.ParseAddr(text); addrErr == nil && addr.Zone() == "" {
		network, err = addr.Prefix(addr.BitLen())
	}
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("not a network: write one such as 10.0.0.0/8 or fd00::/8, or one address")
	case network.Addr().Is4In6():
		return netip.Prefix{}, errors.New("an IPv4 network in IPv6 form: write it as IPv4, such as 10.0.0.0/8")
	case network != network.Masked():
		return netip.Prefix{}, errors.New("a network with bits outside its mask: write " + network.Masked().String())
	}
	return network, nil
}

func isSpaceOrControl(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
