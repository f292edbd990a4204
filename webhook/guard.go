package webhook

import (
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// refusal is why the guard let nothing be dialled: a Detail of a [Result].
type refusal string

func (r refusal) Error() string { return "webhook: " + string(r) }

const (
	errPort    refusal = DetailPort
	errClosed  refusal = DetailClosed
	errAddress refusal = DetailAddress
)

// alwaysClosed are the networks that no list of allowed networks opens: link-local, where most clouds keep their
// metadata, and the places where some keep it outside of that.
var alwaysClosed = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),         // link-local: AWS, Azure, Google, Hetzner, OpenStack, ...
	netip.MustParsePrefix("100.100.100.200/32"),     // Alibaba
	netip.MustParsePrefix("168.63.129.16/32"),       // Azure's WireServer, a public address by its number
	netip.MustParsePrefix("192.0.0.192/32"),         // Oracle, Classic
	netip.MustParsePrefix("fe80::/10"),              // link-local
	netip.MustParsePrefix("fd00:ec2::/32"),          // AWS: metadata (::254), credentials of EKS pods (::23)
	netip.MustParsePrefix("fd20:ce::254/128"),       // Google
	netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), // Oracle
	netip.MustParsePrefix("fd00:a9fe:a9fe::/48"),    // Akamai, once Linode (::1)
	netip.MustParsePrefix("fd00:100::100:200/128"),  // Alibaba
	netip.MustParsePrefix("fd00:42::42/128"),        // Scaleway
	netip.MustParsePrefix("64:ff9b:1::/48"),         // local NAT64: where the IPv4 address stands is not known
	netip.MustParsePrefix("2001::/32"),              // Teredo: leads to two IPv4 addresses, one of them disguised
	netip.MustParsePrefix("::ffff:0:0:0/96"),        // IPv4-translated (RFC 2765): left over from before NAT64
}

// metadataIPv4 are the addresses that are closed behind any IPv6 address that a network's own NAT64 could turn into them.
var metadataIPv4 = [][4]byte{
	{169, 254, 169, 254}, // nearly everybody
	{169, 254, 170, 2},   // AWS: credentials of ECS tasks
	{169, 254, 170, 23},  // AWS: credentials of EKS pods
	{169, 254, 42, 42},   // Scaleway
	{169, 254, 0, 23},    // Tencent
	{169, 254, 10, 10},   // Tencent
	{100, 100, 100, 200}, // Alibaba
	{168, 63, 129, 16},   // Azure
	{192, 0, 0, 192},     // Oracle, Classic
}

// embeddings are where RFC 6052 puts an IPv4 address into an IPv6 address, by the length of the prefix. Byte 8 is zero.
var embeddings = [][4]int{
	{4, 5, 6, 7}, {5, 6, 7, 9}, {6, 7, 9, 10}, {7, 9, 10, 11}, {9, 10, 11, 12}, {12, 13, 14, 15},
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
	closed    func(netip.AddrPort) bool // nil closes nothing more
}

// newGuard allows public addresses, which is what the IANA registries of special addresses leave, and the networks
// listed. What is always closed stays closed, and so does what closed reports.
func newGuard(networks []netip.Prefix, allowHTTP bool, closed func(netip.AddrPort) bool) *guard {
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
		closed:    closed,
	}
}

// control is a net.Dialer's Control: it sees each address that is about to be dialled, after DNS and after any change of
// DNS, and a dial that it refuses sends no packet.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return errClosed
	}
	return g.check(target)
}

// check says why an address may not be dialled.
func (g *guard) check(target netip.AddrPort) error {
	if !g.allowsPort(target.Port()) {
		return errPort
	}
	return g.checkAddr(target.Addr(), target.Port())
}

// allowsPort keeps callbacks off the well-known services: 443, those above 1023, and 80 where plain HTTP is allowed.
func (g *guard) allowsPort(port uint16) bool {
	return port == 443 || port > 1023 || port == 80 && g.allowHTTP
}

// checkAddr judges an address as the network would treat it: IPv4-mapped is IPv4, a zone changes nothing, and an
// address that is translated to IPv4 on its way must be allowed in both forms.
func (g *guard) checkAddr(addr netip.Addr, port uint16) error {
	addr = addr.Unmap().WithZone("") // a prefix never contains an address that has a zone
	contains := func(p netip.Prefix) bool { return p.Contains(addr) }
	if slices.ContainsFunc(alwaysClosed, contains) || embedsMetadata(addr) {
		return errClosed
	}
	if g.closed != nil && g.closed(netip.AddrPortFrom(addr, port)) {
		return errClosed
	}
	if v4, ok := translated(addr); ok {
		if err := g.checkAddr(v4, port); err != nil {
			return err
		}
	}
	if g.public.SafeAddr(addr) != nil {
		return errAddress
	}
	return nil
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

// embedsMetadata reports whether an IPv6 address holds one of the metadata addresses where a NAT64 with a prefix of the
// network's own would look for it. By chance about one in eighty million does.
func embedsMetadata(addr netip.Addr) bool {
	if addr.Is4() {
		return false
	}
	b := addr.As16()
	return slices.ContainsFunc(embeddings, func(at [4]int) bool {
		return slices.Contains(metadataIPv4, [4]byte{b[at[0]], b[at[1]], b[at[2]], b[at[3]]})
	})
}
