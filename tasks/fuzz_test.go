package tasks

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/webhook"
)

// problems are all that a ValidationError says of a field. They are written here
// once more, so that one that quotes the field is noticed.
var problems = []string{
	"token is required", "token is longer than 128 characters", "token must not be a relative path segment",
	"token may hold A–Z, a–z, 0–9, '-', '_' and '.' only",
	"method is required: smart_id or mobile_id", "method must be smart_id or mobile_id", "locale must be lt or en",
	"callback_url is longer than 2048 bytes", "callback_url is not a URL",
	"callback_url must begin with https:// (or http://, where the worker allows it)", "callback_url names no host",
	"callback_url must not hold a user name or password", "callback_url must not hold a fragment",
	"callback_url must use the scheme's own port or one above 1023",
	"reference is longer than 200 bytes", "reference is not valid UTF-8", "reference holds a character that cannot be printed",
	"checks may hold peps and sanctions only", "checks must not name a check twice",
	"started_at is not between the years 2000 and 9999",
	"account is longer than 32 characters", "account may hold a–z, 0–9, '-' and '_' only, and begins with a letter",
}

var decodeFaults = regexp.MustCompile(`^the task's payload (is not a JSON object with a version|has a field of the wrong type|` +
	`has version -?\d+, which this release no longer reads)$`)

// saysNothing fails where an error of Decode says more than which rule was broken.
func saysNothing(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrNewerPayload) || decodeFaults.MatchString(err.Error()) {
		return
	}
	list, isValidation := strings.CutPrefix(err.Error(), "invalid session: ")
	for _, problem := range strings.Split(list, "; ") {
		if !isValidation || !slices.Contains(problems, problem) {
			t.Fatalf("the error says %q", problem)
		}
	}
}

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

// FuzzOpenRedis: no URL makes it panic, and its only error is the same for all,
// so that no password is in it.
func FuzzOpenRedis(f *testing.F) {
	for _, seed := range []string{
		"redis://localhost", "redis://user:p%40ss@redis.example:6379/1?pool_size=7", "rediss://:p@[2001:db8::1]:6379",
		"redis-socket://user:pass@/run/redis.sock?db=3", "redis-sentinel://u:p@h1:26379,h2,[::1]/0?master=m&sentinel_password=x",
		"redis://h?pool_size=-1", "redis://h?pool_size=10001", "redis-sentinel://u:p?w@h1/?master=m", "redis-sentinel://u:p/w@h1/?master=m",
		"redis-socket://%zz", "redis://h:port", "redis-sentinel://@,?master=%", "redis-sentinel://a@b@c?master=m", "redis://h?db=-1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.Contains(raw, "min_idle_conns") || strings.Contains(raw, "%") && strings.Contains(raw, "idle") {
			t.Skip("these connections would be dialled")
		}
		rdb, err := OpenRedis(raw)
		if err == nil {
			if err := rdb.Close(); err != nil {
				t.Fatalf("%q: closing: %v", raw, err)
			}
			return
		}
		if !errors.Is(err, errRedisURL) || err.Error() != errRedisURL.Error() {
			t.Fatalf("%q: the error is %v", raw, err)
		}
		if rdb != nil {
			t.Fatalf("%q: a client and an error", raw)
		}
	})
}
