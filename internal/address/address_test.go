package address

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHostOf_ShowsNothingOfAURLButItsHost(t *testing.T) {
	t.Parallel()
	for rawURL, want := range map[string]string{
		"https://hooks.example.com/secret?also=secret#x": "hooks.example.com",
		"https://Hooks.Example.COM:8443/":                "hooks.example.com:8443",
		"https://user:password@a.example/":               "a.example",
		"https://a.example@thief.example/":               "thief.example",
		"https://a.example\\@thief.example/":             "",
		"HTTPS://A.example":                              "a.example",
		"https://[2001:DB8::1]:8443/":                    "[2001:db8::1]:8443",
		"https://[2001:db8::1]/":                         "[2001:db8::1]",
		"redis://:p%40ss@cache.example:6379/3":           "cache.example:6379",
		"//a.example/path":                               "a.example",
		"https://ŽUVIS.example/":                         "žuvis.example",
		"https://a.example%2f.thief.example/":            "",
		"https://a.example:port/":                        "",
		"https://[::1/":                                  "",
		"https://\x00/":                                  "",
		"https://a b/":                                   "",
		"https://":                                       "",
		"a.example/path":                                 "",
		"mailto:somebody@a.example":                      "",
		"":                                               "",
		"://":                                            "",
		"%":                                              "",
	} {
		if got := HostOf(rawURL); got != want {
			t.Errorf("%q: %q, want %q", rawURL, got, want)
		}
	}
}

func TestNameOf_IsWithoutPortBracketsAndCase(t *testing.T) {
	t.Parallel()
	for hostPort, want := range map[string]string{
		"A.example":         "a.example",
		"a.example.":        "a.example.",
		"a.example.:80":     "a.example.",
		"a.example:80":      "a.example",
		"a.example:":        "a.example",
		":80":               "",
		"":                  "",
		"127.0.0.1:80":      "127.0.0.1",
		"::1":               "::1",
		"[::1]":             "::1",
		"[::1]:80":          "::1",
		"[2001:DB8::1]:443": "2001:db8::1",
		"[::1":              "[::1",
		"::1]":              "::1]",
		"[[::1]]":           "[::1]",
		"a:80:90":           "a:80:90",
	} {
		if got := NameOf(hostPort); got != want {
			t.Errorf("%q: %q, want %q", hostPort, got, want)
		}
	}
}

func TestIsLoopback_IsThisMachineAndNoOther(t *testing.T) {
	t.Parallel()
	for hostPort, want := range map[string]bool{
		"localhost":               true,
		"LOCALHOST:8088":          true,
		"localhost.":              true,
		"localhost.:80":           true,
		"desk.localhost":          true,
		"127.0.0.1":               true,
		"127.0.0.1:8088":          true,
		"127.8.9.10:1":            true,
		"::1":                     true,
		"[::1]":                   true,
		"[::1]:8088":              true,
		"[::ffff:127.0.0.1]:80":   true,
		"[0:0:0:0:0:0:0:1]:80":    true,
		"":                        false,
		":8088":                   false,
		".":                       false,
		"0.0.0.0:80":              false,
		"[::]:80":                 false,
		"192.168.1.7:80":          false,
		"[2001:db8::1]:80":        false,
		"localhost.example":       false,
		"notlocalhost":            false,
		"localhost@thief.example": false,
		"127.0.0.1.thief.example": false,
		"127.0.0.1@thief.example": false,
		"thief.example:127.0.0.1": false,
		"127.1":                   false,
		"2130706433":              false,
		"0x7f000001":              false,
		"0177.0.0.1":              false,
		"[::1":                    false,
		"[::1]thief.example":      false,
		"127.0.0.1:80:90":         false,
		"localhost\x00":           false,
		"localhost\n":             false,
		" localhost":              false, //nolint:gocritic // white space on purpose
		"lоcalhost":               false, // with a Cyrillic о
	} {
		if got := IsLoopback(hostPort); got != want {
			t.Errorf("%q: %v, want %v", hostPort, got, want)
		}
	}
}

func TestIsPrivate_IsEveryNetworkThatIsNotPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "172.16.0.1": true, "172.32.0.1": false, "192.168.0.1": true, "169.254.169.254": true,
		"100.63.255.255": false, "100.64.0.0": true, "100.127.255.255": true, "100.128.0.0": false,
		"0.0.0.0": true, "255.255.255.255": true, "224.0.0.1": true, "192.0.2.1": false, "8.8.8.8": false,
		"::1": true, "::": true, "fe80::1%eth0": true, "fd00::1": true, "fd00::1%eth0": true, "ff02::1": true, "2001:db8::1": false,
		"2606:4700::1111": false, "2606:4700::1111%eth0": false, "::ffff:10.1.2.3": true, "::ffff:100.64.0.1": true, "::ffff:8.8.8.8": false,
	} {
		if got := IsPrivate(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
	if !IsPrivate(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// FuzzHostOf: what is shown of a URL has no user, path or query, and is the same however often it is asked for.
func FuzzHostOf(f *testing.F) {
	for _, rawURL := range []string{
		"https://user:pass@Host.example:8443/path?query#fragment", "https://[::1]:80/", "https://a.example\\@b.example/", "//", "a", "https://ž.example", "%", "https://%41.example/", "//::",
	} {
		f.Add(rawURL)
	}
	f.Fuzz(func(t *testing.T, rawURL string) {
		got := HostOf(rawURL)
		if strings.ContainsAny(got, "/?#@") {
			t.Fatalf("%q: %q shows more than a host", rawURL, got)
		}
		if utf8.ValidString(got) && got != "" && !strings.ContainsAny(got, "%") {
			// "//::" has a host that no https URL can have: of that there is none.
			if again := HostOf("https://" + got + "/"); again != "" && again != got {
				t.Fatalf("%q: %q, and of that %q", rawURL, got, again)
			}
		}
	})
}

// FuzzIsLoopback: a name that is this machine's is localhost, under it, or an address that this machine has to itself.
func FuzzIsLoopback(f *testing.F) {
	for _, hostPort := range []string{"localhost:80", "[::1]:80", "127.0.0.1", "127.0.0.1.example", "x.localhost.", "[::1", "localhost:80:90", "[localhost]"} {
		f.Add(hostPort)
	}
	f.Fuzz(func(t *testing.T, hostPort string) {
		name := NameOf(hostPort)
		if IsLoopback(hostPort) != IsLoopback(name) && !strings.ContainsAny(name, ":[]") {
			t.Fatalf("%q and its name %q are judged differently", hostPort, name)
		}
		if !IsLoopback(hostPort) {
			return
		}
		addr, err := netip.ParseAddr(name)
		if strings.TrimSuffix(name, ".") != "localhost" && !strings.HasSuffix(strings.TrimSuffix(name, "."), ".localhost") && (err != nil || !IsPrivate(addr)) {
			t.Fatalf("%q is %q, and taken for this machine", hostPort, name)
		}
	})
}
