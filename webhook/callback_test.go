package webhook

import (
	"net/netip"
	"strings"
	"testing"
)

// newTestSender returns a sender with the defaults of tests: plain HTTP and 127.0.0.0/8 allowed, a random secret.
func newTestSender(tb testing.TB, change ...func(*SenderConfig)) *Sender {
	tb.Helper()
	cfg := SenderConfig{
		Signer:        mustSigner(tb, nil, NewSecret()),
		AllowHTTP:     true,
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	for _, do := range change {
		do(&cfg)
	}
	s, err := NewSender(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if idle, ok := s.transport.(interface{ CloseIdleConnections() }); ok {
		tb.Cleanup(idle.CloseIdleConnections)
	}
	return s
}

func onlyPublic(cfg *SenderConfig) { cfg.AllowHTTP, cfg.AllowNetworks = false, nil }

func TestCheckURL(t *testing.T) {
	t.Parallel()
	strict, open := newTestSender(t, onlyPublic), newTestSender(t)
	const ok = ""
	tests := []struct{ url, strict, open string }{
		{"https://example.com/hook", ok, ok},
		{"https://example.com", ok, ok},
		{"HTTPS://EXAMPLE.COM/hook?token=a%20b&c=d", ok, ok},
		{"https://example.com:443/", ok, ok},
		{"https://example.com:8443/", ok, ok},
		{"https://example.com.:1024/", ok, ok},
		{"https://ąžuolas.lt/", ok, ok},
		{"https://1.1.1.1/", ok, ok},
		{"https://[2606:4700:4700::1111]:8443/", ok, ok},
		{"https://[::ffff:1.1.1.1]/", ok, ok},
		{"https://example.com/" + strings.Repeat("x", 2028), ok, ok},
		{"https://example.com/" + strings.Repeat("x", 2029), "longer than 2048", "longer than 2048"},

		{"http://example.com/", "not allowed here", ok},
		{"http://example.com:80/", "not allowed here", ok},
		{"http://example.com:8080/", "not allowed here", ok},
		{"https://example.com:80/", "port", ok},
		{"https://127.0.0.1/", "address", ok},
		{"https://[::ffff:127.0.0.1]/", "address", ok},

		{"", "not absolute", "not absolute"},
		{"/hook", "not absolute", "not absolute"},
		{"//example.com/hook", "not absolute", "not absolute"},
		{"example.com/hook", "not absolute", "not absolute"},
		{"localhost:8080/hook", "not https", "not https"},
		{"ftp://example.com/", "not https", "not https"},
		{"file:///etc/passwd", "not https", "not https"},
		{"gopher://example.com:6379/_", "not https", "not https"},
		{"unix:///run/docker.sock", "not https", "not https"},
		{"https:example.com", "no host", "no host"},
		{"https:///hook", "no host", "no host"},
		{"https://:443/hook", "no host", "no host"},
		{"https://user@example.com/", "user or password", "user or password"},
		{"https://user:pass@example.com/", "user or password", "user or password"},
		{"https://@example.com/", "user or password", "user or password"},
		{"https://example.com/#part", "fragment", "fragment"},
		{"https://example.com/#", "fragment", "fragment"},

		{"https://example.com:22/", "port", "port"},
		{"https://example.com:0/", "port", "port"},
		{"https://example.com:1023/", "port", "port"},
		{"https://example.com:65536/", "port", "port"},
		{"https://example.com:99999999999999999999/", "port", "port"},

		{"https://10.0.0.1/", "address", "address"},
		{"https://[::1]:8443/", "address", "address"},
		{"https://169.254.169.254/latest/meta-data/", "address", "address"},
		{"https://[::ffff:169.254.169.254]/", "address", "address"},
		{"https://[fe80::1%25eth0]/", "address", "address"},
		{"https://168.63.129.16/", "address", "address"},
		{"https://0.0.0.0:8080/", "address", "address"},

		{"https://example.com/\n", "cannot be parsed", "cannot be parsed"},
		{"https://exa mple.com/", "cannot be parsed", "cannot be parsed"},
		{"https://example.com/%zz", "cannot be parsed", "cannot be parsed"},
		{"https://example.com:port/", "cannot be parsed", "cannot be parsed"},
		{"https://[::1/", "cannot be parsed", "cannot be parsed"},
		{"\x00", "cannot be parsed", "cannot be parsed"},
	}
	for _, tt := range tests {
		for name, row := range map[string]struct {
			sender *Sender
			want   string
		}{"strict": {strict, tt.strict}, "open": {open, tt.open}} {
			err := row.sender.CheckURL(tt.url)
			switch {
			case row.want == ok && err != nil:
				t.Errorf("%s: %.60q: %v, want it allowed", name, tt.url, err)
			case row.want != ok && (err == nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("%s: %.60q: error %v, want one about %q", name, tt.url, err, row.want)
			}
		}
	}
}

func TestCheckURL_ErrorsDoNotQuote(t *testing.T) {
	t.Parallel()
	s := newTestSender(t, onlyPublic)
	for _, url := range []string{
		"https://canary.example/%zz", "canary://canary.example", "http://canary.example/", "https://canary@x.example/canary",
		"https://canary.example:22/", "https://canary.example/#canary", "https://canary.example/" + strings.Repeat("x", 3000),
		"canary", "https:///canary", "https://10.0.0.1/?canary", "https://canary.example:canary/",
	} {
		if err := s.CheckURL(url); err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "10.0.0.1") {
			t.Errorf("%.40q: error %v, want one that quotes nothing", url, err)
		}
	}
}
