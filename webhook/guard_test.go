package webhook

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// special are the ranges of the IANA registries for special addresses, and where clouds keep metadata: the first and
// the last address of each, or one where that says it all.
var special = map[string][]string{
	"this network":           {"0.0.0.0", "0.255.255.255"},
	"private":                {"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"},
	"carrier-grade NAT":      {"100.64.0.0", "100.127.255.255"},
	"loopback":               {"127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"},
	"link-local":             {"169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::", "fe80::1%lo", "febf:ffff::1"},
	"IETF protocols":         {"192.0.0.0", "192.0.0.255", "2001::", "2001:1ff:ffff::1"},
	"documentation":          {"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "3fff:fff::1"},
	"AS112":                  {"192.31.196.1", "192.175.48.1", "2620:4f:8000::1"},
	"AMT":                    {"192.52.193.1"},
	"6to4 relay":             {"192.88.99.1"},
	"benchmarking":           {"198.18.0.0", "198.19.255.255", "2001:2::1"},
	"multicast":              {"224.0.0.0", "239.255.255.255", "ff02::1", "ff0e::1"},
	"reserved":               {"240.0.0.0", "255.255.255.254"},
	"broadcast":              {"255.255.255.255"},
	"unspecified":            {"::"},
	"IPv4-compatible":        {"::10.0.0.1", "::8.8.8.8"},
	"NAT64":                  {"64:ff9b::10.0.0.1", "64:ff9b::8.8.8.8"},
	"local NAT64":            {"64:ff9b:1::1", "64:ff9b:1:ffff::1"},
	"discard":                {"100::1"},
	"Teredo":                 {"2001::7f00:1"},
	"ORCHID":                 {"2001:10::1", "2001:20::1"},
	"6to4":                   {"2002:7f00:1::1", "2002:808:808::1"},
	"segment routing":        {"5f00::1"},
	"unique local":           {"fc00::", "fd00::1", "fdff:ffff::1"},
	"site-local, deprecated": {"fec0::1", "feff::1"},
	"not global unicast":     {"4000::1", "1fff::1", "fe00::1"},
	"Azure":                  {"168.63.129.16"},
	"Alibaba":                {"100.100.100.200"},
	"Oracle":                 {"192.0.0.192"},
	"AWS":                    {"fd00:ec2::254", "fd00:ec2::23"},
	"Google":                 {"fd20:ce::254"},
	"Scaleway":               {"fd00:42::42"},
	"Oracle, IPv6":           {"fd00:c1::a9fe:a9fe"},
	"Akamai":                 {"fd00:a9fe:a9fe::1"},
	"Alibaba, IPv6":          {"fd00:100::100:200"},
}

// isRefused reports whether the guard let nothing be dialled.
func isRefused(err error) bool {
	_, ok := errors.AsType[refusal](err)
	return ok
}

// forms returns every way to write the address that a dialler may be given.
func forms(addr netip.Addr) []netip.Addr {
	if addr.Is4() {
		return []netip.Addr{addr, netip.AddrFrom16(addr.As16())}
	}
	return []netip.Addr{addr, addr.WithZone("eth0")}
}

func TestDialer_RefusesEverySpecialAddress(t *testing.T) {
	t.Parallel()
	dialer := newDialer(newGuard(nil, true, nil), time.Second)
	for name, addrs := range special {
		for _, text := range addrs {
			for _, addr := range forms(netip.MustParseAddr(text)) {
				for _, port := range []uint16{80, 443, 8443} {
					target := netip.AddrPortFrom(addr, port).String()
					conn, err := dialer.DialContext(context.Background(), "tcp", target)
					if err == nil {
						conn.Close()
					}
					// A zone that does not exist may fail before the guard is asked.
					if !isRefused(err) && (addr.Zone() == "" || err == nil) {
						t.Errorf("%s: dialling %s: %v, want it refused by the guard", name, target, err)
					}
				}
				if newGuard(nil, true, nil).checkAddr(addr, 443) == nil {
					t.Errorf("%s: %s is allowed", name, addr)
				}
			}
		}
	}
}

func TestGuard_AllowsPublicAddresses(t *testing.T) {
	t.Parallel()
	g := newGuard(nil, false, nil)
	for _, text := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"172.15.255.255", "172.32.0.0", "169.253.255.255", "169.255.0.0", "168.63.129.15", "192.167.255.255", "192.169.0.0",
		"223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::1", "2001:200::1", "2003::1",
	} {
		for _, addr := range forms(netip.MustParseAddr(text)) {
			if g.checkAddr(addr, 443) != nil {
				t.Errorf("%s is refused", addr)
			}
		}
	}
}

func TestGuard_OpensWhatIsListedAndNoMore(t *testing.T) {
	t.Parallel()
	g := newGuard([]netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.1.2.3/16"),
		netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fd12:3456::/32"),
	}, false, nil)
	for text, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "10.1.255.255": true, "::1": true, "fd12:3456::9": true, "1.1.1.1": true,
		"10.2.0.1": false, "192.168.0.1": false, "::2": false, "fd12:3457::1": false, "fd00:ec2::254": false,
		"fd12:3456::a9fe:a9fd": true, "fd12:3456::a9fe:a9fe": false,
	} {
		for _, addr := range forms(netip.MustParseAddr(text)) {
			if got := g.checkAddr(addr, 443) == nil; got != want {
				t.Errorf("%s: allowed %t, want %t", addr, got, want)
			}
		}
	}
}

func TestGuard_KeepsLinkLocalAndMetadataClosed(t *testing.T) {
	t.Parallel()
	lists := [][]string{
		{"0.0.0.0/0", "::/0"},
		{
			"169.254.0.0/16", "169.254.169.254/32", "168.63.129.16/32", "192.0.0.0/24", "100.64.0.0/10", "fe80::/10", "fd00::/8",
			"fd00:ec2::254/128", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "::/96",
		},
	}
	closed := []string{
		"169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255", "100.100.100.200", "168.63.129.16", "192.0.0.192",
		"fe80::1", "fe80::a9fe:a9fe", "febf::1", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42",
		"fd00:c1::a9fe:a9fe", "fd00:a9fe:a9fe::1", "fd00:100::100:200",
		"64:ff9b::169.254.169.254", "64:ff9b::168.63.129.16", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254",
	}
	for _, list := range lists {
		var networks []netip.Prefix
		for _, text := range list {
			networks = append(networks, netip.MustParsePrefix(text))
		}
		g := newGuard(networks, true, nil)
		for _, text := range closed {
			for _, addr := range forms(netip.MustParseAddr(text)) {
				target := netip.AddrPortFrom(addr, 443).String()
				if err := g.control("tcp", target, nil); !errors.Is(err, errClosed) {
					t.Errorf("with %s: %s is open", strings.Join(list, " "), target)
				}
			}
		}
	}
}

func TestGuard_JudgesATranslatedAddressByWhereItLeads(t *testing.T) {
	t.Parallel()
	dns64 := newGuard([]netip.Prefix{netip.MustParsePrefix("64:ff9b::/96")}, false, nil)
	for text, want := range map[string]bool{
		"64:ff9b::8.8.8.8": true, "64:ff9b::10.0.0.1": false, "64:ff9b::127.0.0.1": false, "64:ff9b::0.0.0.0": false,
	} {
		if got := dns64.checkAddr(netip.MustParseAddr(text), 443) == nil; got != want {
			t.Errorf("%s: allowed %t, want %t", text, got, want)
		}
	}
}

func TestGuard_Ports(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		port        uint16
		https, http bool
	}{
		{0, false, false},
		{22, false, false},
		{25, false, false},
		{80, false, true},
		{442, false, false},
		{443, true, true},
		{1023, false, false},
		{1024, true, true},
		{6379, true, true},
		{65535, true, true},
	} {
		for allowHTTP, want := range map[bool]bool{false: tt.https, true: tt.http} {
			err := newGuard(nil, allowHTTP, nil).control("tcp4", netip.AddrPortFrom(netip.MustParseAddr("1.1.1.1"), tt.port).String(), nil)
			if (err == nil) != want {
				t.Errorf("port %d with AllowHTTP %t: error %v", tt.port, allowHTTP, err)
			}
		}
	}
}

func TestGuard_RefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "1.1.1.1", "example.com:443", "[::1]", "/run/docker.sock"} {
		if err := newGuard(nil, true, nil).control("unix", address, nil); !isRefused(err) {
			t.Errorf("%q: error %v", address, err)
		}
	}
}

func TestDialer_ReachesWhatIsListed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialer := newDialer(newGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, false, nil), time.Minute)
	conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
