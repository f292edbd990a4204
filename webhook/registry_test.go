package webhook

import (
	"context"
	"math/big"
	"net/netip"
	"testing"
	"time"
)

// ianaIPv4 is the IANA IPv4 Special-Purpose Address Registry, and what is multicast. Some of it may be reached from
// everywhere by its purpose, such as the anycast addresses of 192.0.0.9; no receiver is there.
var ianaIPv4 = []string{
	"0.0.0.0/8", "0.0.0.0/32", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/32", "192.0.0.171/32",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
}

// ianaIPv6 is the IANA IPv6 Special-Purpose Address Registry, what is multicast, and what is not given out as global
// unicast. ::ffff:0:0/96 is not among it: those are IPv4 addresses, and tried as such.
var ianaIPv6 = []string{
	"::/128", "::1/128", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32",
	"2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48", "2001:10::/28",
	"2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20", "5f00::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "::/8", "0100::/8", "0200::/7", "0400::/6", "0800::/5", "1000::/4",
	"4000::/3", "6000::/3", "8000::/3", "a000::/3", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/9",
}

// metadata are addresses that no list opens.
var metadata = []string{"169.254.169.254", "169.254.170.2", "169.254.0.1", "169.254.255.255", "168.63.129.16", "100.100.100.200", "192.0.0.192"}

// samples are the first address of a network, the last, and some between.
func samples(network netip.Prefix) []netip.Addr {
	first := new(big.Int).SetBytes(network.Addr().AsSlice())
	size := new(big.Int).Lsh(big.NewInt(1), uint(network.Addr().BitLen()-network.Bits()))
	var addrs []netip.Addr
	for _, share := range []int64{0, 1, 333, 500, 999, 1000} {
		offset := new(big.Int).Mul(new(big.Int).Sub(size, big.NewInt(1)), big.NewInt(share))
		offset.Div(offset, big.NewInt(1000))
		raw := new(big.Int).Add(first, offset).FillBytes(make([]byte, network.Addr().BitLen()/8))
		addr, _ := netip.AddrFromSlice(raw)
		addrs = append(addrs, addr)
	}
	return addrs
}

// writtenAs are the IPv6 addresses that lead to an IPv4 address, or look as if they did, by the way.
func writtenAs(v4 netip.Addr) map[string]netip.Addr {
	b := v4.As4()
	at := func(prefix string, place int) netip.Addr {
		raw := netip.MustParseAddr(prefix).As16()
		copy(raw[place:], b[:])
		return netip.AddrFrom16(raw)
	}
	teredo := netip.MustParseAddr("2001:0:4136:e378:8000:63bf::").As16() // a public server, and a port
	for i := range b {
		teredo[12+i] = ^b[i]
	}
	return map[string]netip.Addr{
		"mapped":               netip.AddrFrom16(v4.As16()),
		"IPv4-compatible":      at("::", 12),
		"IPv4-translated":      at("::ffff:0:0:0", 12),
		"NAT64":                at("64:ff9b::", 12),
		"local NAT64":          at("64:ff9b:1::", 12),
		"local NAT64, in /48":  at("64:ff9b:1:a9fe:a9:fe00::", 6),
		"6to4":                 at("2002::", 2),
		"6to4, with a host":    at("2002::1234:5678", 2),
		"Teredo":               netip.AddrFrom16(teredo),
		"Teredo, as a server":  at("2001::8000:63bf:0:1", 4),
		"Teredo, not inverted": at("2001::", 12),
	}
}

// mustRefuse demands that the guard lets none of them be dialled, on no port, nor be written into a URL.
func mustRefuse(t *testing.T, s *Sender, what string, addr netip.Addr) {
	t.Helper()
	dialer := newDialer(s.guard, time.Second)
	for _, port := range []uint16{80, 443, 8443} {
		target := netip.AddrPortFrom(addr, port).String()
		conn, err := dialer.DialContext(context.Background(), "tcp", target)
		if err == nil {
			conn.Close()
		}
		if !isRefused(err) {
			t.Errorf("%s: dialling %s: %v, want it refused by the guard", what, target, err)
		}
		if err := s.CheckURL("https://" + target + "/"); err == nil {
			t.Errorf("%s: a URL with %s is taken", what, target)
		}
	}
}

func TestGuard_RefusesTheRegistriesInEveryForm(t *testing.T) {
	t.Parallel()
	s := newTestSender(t, onlyPublic)
	s.guard.allowHTTP = true // so that port 80 alone is no reason
	for _, network := range ianaIPv4 {
		for _, addr := range samples(netip.MustParsePrefix(network)) {
			mustRefuse(t, s, network, addr)
			for form, addr := range writtenAs(addr) {
				mustRefuse(t, s, network+", "+form, addr)
			}
		}
	}
	for _, network := range ianaIPv6 {
		for _, addr := range samples(netip.MustParsePrefix(network)) {
			mustRefuse(t, s, network, addr)
		}
	}
}

// A public IPv4 address is no better where it is written so that a translator on the way must be trusted.
func TestGuard_RefusesPublicAddressesBehindATranslator(t *testing.T) {
	t.Parallel()
	s := newTestSender(t, onlyPublic)
	for form, addr := range writtenAs(netip.MustParseAddr("8.8.8.8")) {
		if form != "mapped" {
			mustRefuse(t, s, form, addr)
		}
	}
}

func TestGuard_MetadataStaysClosedInEveryFormWhateverIsListed(t *testing.T) {
	t.Parallel()
	for name, networks := range map[string][]string{
		"everything": {"0.0.0.0/0", "::/0"},
		"the network of each": {
			"169.254.0.0/16", "168.63.129.16/32", "100.64.0.0/10", "192.0.0.0/24", "64:ff9b::/96", "64:ff9b:1::/48",
			"2002::/16", "2001::/32", "2001::/23", "::/96", "::ffff:0:0:0/96", "fe80::/10", "fd00::/8",
		},
	} {
		s := newTestSender(t, func(cfg *SenderConfig) {
			cfg.AllowNetworks = nil
			for _, network := range networks {
				cfg.AllowNetworks = append(cfg.AllowNetworks, netip.MustParsePrefix(network))
			}
		})
		for _, text := range metadata {
			v4 := netip.MustParseAddr(text)
			mustRefuse(t, s, name, v4)
			for form, addr := range writtenAs(v4) {
				mustRefuse(t, s, name+", "+form, addr)
			}
		}
		for _, text := range []string{
			"fe80::1", "fe80::a9fe:a9fe", "febf::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42",
			"fd00:c1::a9fe:a9fe", "fd00:a9fe:a9fe::1", "fd00:a9fe:a9fe::9", "fd00:100::100:200",
			// A network's own NAT64 (RFC 6052), with a prefix of each length.
			"fd12:3456:a9fe:a9fe::", "fd12:3456:1a9:fea9:fe::", "fd12:3456:1:a9fe:a9:fe00::", "fd12:3456:1:1a9:fe:a9fe::",
			"fd12:3456:1:2:a9:fea9:fe00:0", "fd12:3456:1:2::a9fe:a9fe", "fd12:3456:1:2::6464:64c8", "fd12:3456:1:2:0:5efe:a9fe:aa02",
		} {
			mustRefuse(t, s, name, netip.MustParseAddr(text))
		}
	}
}
