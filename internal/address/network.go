package address

import "net/netip"

// sharedSpace is what carriers and clouds use inside, and VPNs among their members
// (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// IsPrivate reports whether an address is of this machine or of a network that is not
// public. The zero Addr is private: nothing is sent there.
func IsPrivate(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // a prefix never contains an address that has a zone
	return addr.IsPrivate() || !addr.IsGlobalUnicast() || sharedSpace.Contains(addr)
}
