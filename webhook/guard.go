package webhook

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// errAddress: the guard let nothing be dialled.
var errAddress = errors.New("webhook: address not allowed")

// alwaysClosed are the networks that no list of allowed networks opens: link-local, where most clouds keep their
// metadata, and the places where some keep it outside of that.
var alwaysClosed = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),     // link-local: AWS, Azure, Google, Hetzner, OpenStack, ...
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure's WireServer, a public address by its number
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle
	netip.MustParsePrefix("fe80::/10"),          // link-local
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS: metadata (::254), credentials of EKS pods (::23)
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google
	netip.MustParsePrefix("fd00:42::42/128"),    // Scaleway
	netip.MustParsePrefix("64:ff9b:1::/48"),     // local NAT64: where the IPv4 address stands is not known
	netip.MustParsePrefix("2001::/32"),          // Teredo: leads to two IPv4 addresses, one of them disguised
	netip.MustParsePrefix("::ffff:0:0:0/96"),    // IPv4-translated (RFC 2765): left over from before NAT64
}

// The IPv6 networks whose addresses are another way to write an IPv4 address.
var (
	nat64          = ssrf.IPv6NAT64Prefix
	sixToFour      = netip.MustParsePrefix("2002::/16")
	ipv4Compatible = netip.MustParsePrefix("::/96")
)

// guard says which addresses and ports a callback may reach.
type guard struct {
	public    *ssrf.Guardian
	allowHTTP bool
}

// newGuard allows public addresses, which is what the IANA registries of special addresses leave, and the networks
// listed. What is always closed stays closed.
func newGuard(networks []netip.Prefix, allowHTTP bool) *guard {
	var v4, v6 []netip.Prefix
	for _, network := range networks {
		if network.Addr().Is4() {
			v4 = append(v4, network)
		} else {
			v6 = append(v6, network)
		}
	}
	return &guard{
		public:    ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
		allowHTTP: allowHTTP,
	}
}

// control is a net.Dialer's Control: it sees each address that is about to be dialled, after DNS and after any change of
// DNS, and a dial that it refuses sends no packet.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil || !g.allowsPort(target.Port()) || !g.allowsAddr(target.Addr()) {
		return errAddress
	}
	return nil
}

// allowsPort keeps callbacks off the well-known services: 443, those above 1023, and 80 where plain HTTP is allowed.
func (g *guard) allowsPort(port uint16) bool {
	return port == 443 || port > 1023 || port == 80 && g.allowHTTP
}

// allowsAddr judges an address as the network would treat it: IPv4-mapped is IPv4, a zone changes nothing, and an
// address that is translated to IPv4 on its way must be allowed in both forms.
func (g *guard) allowsAddr(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // a prefix never contains an address that has a zone
	if slices.ContainsFunc(alwaysClosed, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return false
	}
	if v4, ok := translated(addr); ok && !g.allowsAddr(v4) {
		return false
	}
	return g.public.SafeAddr(addr) == nil
}

// translated returns the IPv4 address behind an IPv6 address that NAT64, 6to4 or automatic tunnelling would turn into it.
func translated(addr netip.Addr) (netip.Addr, bool) {
	b := addr.As16()
	switch {
	case nat64.Contains(addr), ipv4Compatible.Contains(addr) && !addr.IsLoopback() && !addr.IsUnspecified():
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}
