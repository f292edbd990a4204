package session

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/webhook"
)

// FuzzCallbackURL: what is accepted at the door is a plain http or https URL
// that the sender posts to, but for addresses that the operator closed.
func FuzzCallbackURL(f *testing.F) {
	for _, seed := range []string{
		"https://example.com/hook?a=b", "http://example.com:80/", "http://example.com:443/", "https://example.com:80/",
		"https://user@example.com/", "https://example.com/#", "https://example.com:/", "https://example.com:1024/", "https://example.com:01024/",
		"HTTPS://EXAMPLE.COM", "https://[2001:db8::1]:8443/ė?\u2028", "https://[fe80::1%25eth0]/", "https://169.254.169.254/", "https://a b/",
		"https:example.com", "https:///x", "https://example.com\\@evil.example/", "https://\xff/", "https://%31%30.0.0.1/",
	} {
		f.Add(seed)
	}
	sender := openSender(f)
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == "" || callbackURLProblem(raw) != "" {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.User != nil || strings.Contains(raw, "#") || u.Hostname() == "" || u.Opaque != "" || len(raw) > MaxCallbackURLLength {
			t.Fatalf("took %q: %v", raw, err)
		}
		ports := map[string][]string{"https": {"", "443"}, "http": {"", "80"}}[u.Scheme]
		if own := slices.Contains(ports, strings.TrimLeft(u.Port(), "0")); ports == nil || !own && !aboveWellKnown(u.Port()) {
			t.Fatalf("took %q with port %q", raw, u.Port())
		}
		if _, err := http.NewRequest(http.MethodPost, raw, http.NoBody); err != nil {
			t.Fatalf("took %q, and no request can be made: %v", raw, err)
		}
		if err := sender.CheckURL(raw); err != nil && !strings.Contains(err.Error(), "address") {
			t.Fatalf("took %q, and the sender says: %v", raw, err)
		}
	})
}

func aboveWellKnown(port string) bool {
	var n int
	_, err := fmt.Sscan(strings.TrimLeft(port, "0"), &n)
	return err == nil && n > 1023 && n < 1<<16
}

// openSender allows whatever an operator can.
func openSender(tb testing.TB) *webhook.Sender {
	tb.Helper()
	key := webhook.NewSigningKey()
	signer, err := webhook.NewSigner(nil, &key)
	if err != nil {
		tb.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{
		Signer: signer, AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return sender
}
