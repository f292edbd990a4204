package config

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
	"github.com/identwatch/identwatch/worker"
)

// FuzzDuration: Go's durations are read as Go reads them, and none is negative.
func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"0", "10s", "3d", "1d12h", "-1s", "65535d2562047h", "d", "1d-1h", "µs"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseDuration(text)
		if got < 0 || err != nil && got != 0 {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
		if want, goErr := time.ParseDuration(text); goErr == nil && want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: got %v, %v, want Go's %v", text, got, err, want)
		}
	})
}

// FuzzPace: what is accepted rises from zero with pauses that are allowed, its
// text is read the same again, and a worker takes it.
func FuzzPace(f *testing.F) {
	for _, seed := range []string{
		"1s", "1s,30s:2s,60s:3s,2m:5s", "1s,1s", "1s,30s:2s,30s:3s", " 1s , 1d:1m ", ",", ":", "1s,:", "100ms,1ns:1m", "1m,106751d:1s,106751d23h:1s",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pace, err := parsePace(text)
		if err != nil {
			if len(pace.steps) != 0 || pace.text != "" {
				t.Errorf("%q: refused, and still %v", text, pace)
			}
			return
		}
		var formatted []string
		taken := worker.Pace{}
		for i, step := range pace.steps {
			if i == 0 && step.From != 0 || i > 0 && step.From <= pace.steps[i-1].From {
				t.Errorf("%q: step %d is from %v", text, i, step.From)
			}
			if step.Every < 100*time.Millisecond || step.Every > time.Minute {
				t.Errorf("%q: step %d has the pause %v", text, i, step.Every)
			}
			formatted = append(formatted, fmt.Sprintf("%v:%v", step.From, step.Every))
			taken = append(taken, worker.PaceStep{From: step.From, Every: step.Every})
		}
		formatted[0] = pace.steps[0].Every.String()
		for _, again := range []string{pace.text, strings.Join(formatted, ","), strings.Join(formatted, " , ")} {
			if second, err := parsePace(again); err != nil || !reflect.DeepEqual(second.steps, pace.steps) {
				t.Errorf("%q: %q parses as %v, %v", text, again, second, err)
			}
		}
		if _, err := worker.New(worker.Options{Pace: taken}); err == nil || strings.Contains(err.Error(), "Pace") {
			t.Errorf("%q: the worker says %v", text, err)
		}
	})
}

// FuzzNetworks: what is accepted is as wide as it looks, and is read the same again.
func FuzzNetworks(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "192.0.2.1,fd00::/8\n::1", "10.0.0.1/8", "::ffff:1.2.3.4", "fe80::1%eth0", ",,", "1.2.3.4/0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		networks, err := parseNetworks(text)
		if err != nil {
			return
		}
		for _, network := range networks {
			if !network.IsValid() || network != network.Masked() || network.Addr().Is4In6() || network.Addr().Zone() != "" {
				t.Errorf("%q: took %v", text, network)
			}
		}
		printed := strings.ReplaceAll(strings.Trim(fmt.Sprint(networks), "[]"), " ", ",")
		if again, err := parseNetworks(printed); err != nil || !reflect.DeepEqual(again, networks) {
			t.Errorf("%q: %s parses as %v, %v", text, printed, again, err)
		}
	})
}

// FuzzSecrets: what is accepted is what those who use it accept too, and an
// error shows nothing of it.
func FuzzSecrets(f *testing.F) {
	key := base64.StdEncoding.EncodeToString(markedKey)
	for _, seed := range []string{
		"whsec_" + key, key + ",whsec_" + key, "whsk_" + key, " whsk_" + key + "\n", "whsec_whsec_", key + "\n" + strings.TrimRight(key, "="),
		"whsk_" + key[:len(key)-2] + "\r\n" + key[len(key)-2:], strings.Repeat("A", 43) + "=", strings.Repeat("A", 42) + "B=", "a token", "\xff",
		"whsk_" + base64.StdEncoding.EncodeToString(append(bytes.Clone(markedKey), markedKey...)),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkSecrets(t, text)
		checkSigning(t, text)
		keys, err := parseOutcomeKeys(text)
		hidden(t, text, err)
		if err == nil {
			if _, err := outcome.NewKeyring(keys...); err != nil {
				t.Errorf("the keyring says %v", err)
			}
		}
		token, err := checkToken(text)
		hidden(t, text, err)
		if err == nil && (token != text || strings.ContainsAny(token, " \t\r\n\x00")) {
			t.Errorf("token %q of %q", token, text)
		}
		_, err = checkPassword(text)
		hidden(t, text, err)
	})
}

func checkSecrets(t *testing.T, text string) {
	t.Helper()
	secrets, err := parseWebhookSecrets(text)
	hidden(t, text, err)
	for _, secret := range secrets {
		if _, err := webhook.ParseSecret(secret); err != nil {
			t.Errorf("took %q, and the webhook package says %v", secret, err)
		}
	}
}

func checkSigning(t *testing.T, text string) {
	t.Helper()
	key, err := checkSigningKey(text)
	hidden(t, text, err)
	if err != nil {
		return
	}
	// Whether two halves belong together is found by serve, with the same report.
	if _, err := webhook.ParseSigningKey(key); err != nil && !strings.Contains(err.Error(), "two halves") {
		t.Errorf("took %q, and the webhook package says %v", key, err)
	} else {
		hidden(t, text, err)
	}
}

// vocabulary is what errors say of inputs that hold nothing.
var vocabulary = sync.OnceValue(func() string {
	var said []error
	_, err := parseWebhookSecrets("-")
	said = append(said, err)
	_, err = checkSigningKey("-")
	said = append(said, err)
	_, err = parseOutcomeKeys("-")
	said = append(said, err)
	_, err = checkToken(" ")
	said = append(said, err)
	for _, text := range []string{"-", "\n"} {
		_, err = checkPassword(text)
		said = append(said, err)
	}
	for _, text := range []string{"-", " ", "https://u@h", "https://h:0", "https://h/#", ",", "whsk_"} {
		_, redisErr := checkRedisURL(text)
		_, baseErr := parseBaseURL(text)
		_, callbackErr := parseCallbackURL(text)
		said = append(said, redisErr, baseErr, callbackErr)
	}
	_, err = tasks.OpenRedis("redis://-:-")
	return errors.Join(append(said, err)...).Error()
})

// hidden fails where an error shows an item of the text, but for words that it
// always says.
func hidden(t *testing.T, text string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, item := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == ' ' }) {
		if len(item) > 12 && strings.Contains(err.Error(), item) && !strings.Contains(vocabulary(), item) {
			t.Errorf("%v shows %q", err, item)
		}
	}
}

// FuzzURLs: what is accepted is plain, what opens Redis takes what is accepted
// here or says so without the URL, and an error shows nothing of it.
func FuzzURLs(f *testing.F) {
	for _, seed := range []string{
		"redis://:p%40ss@localhost:6379/3", "redis-sentinel://u:p@a:26379,b/0?master=m", "redis-socket:///run/redis.sock", "rediss://h?pool_size=-1",
		"redis-cluster://u:p@a:6379,b", "rediss-cluster://a/0",
		"https://api.marksign.eu/", "http://user:hunter2hunter2@host/", "https://host:0/", "https://host:/", "https://host/a?b=c#d", "https://[::1]:8443/ė?%zz",
		"https:opaque", "HTTPS://HOST//", "https://host/%2e%2e/?", "https://\xff/",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := checkRedisURL(text)
		hidden(t, text, err)
		if err == nil && !strings.Contains(text, "idle") && !strings.Contains(text, "%") { // idle connections would be dialled
			if rdb, err := tasks.OpenRedis(text); err == nil {
				_ = rdb.Close()
			} else {
				hidden(t, text, err)
			}
		}
		base, err := parseBaseURL(text)
		hidden(t, text, err)
		checkHTTP(t, text, base, err)
		if err == nil && (strings.ContainsAny(base, "?#") || strings.HasSuffix(base, "/")) {
			t.Errorf("%q: base %q", text, base)
		}
		callback, err := parseCallbackURL(text)
		hidden(t, text, err)
		checkHTTP(t, text, callback, err)
	})
}

// checkHTTP fails where what was accepted is not what it is.
func checkHTTP(t *testing.T, text, accepted string, err error) {
	t.Helper()
	if err != nil {
		if accepted != "" {
			t.Errorf("%q: refused, and still %q", text, accepted)
		}
		return
	}
	u, err := url.Parse(accepted)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		t.Errorf("%q: took %q, %v", text, accepted, err)
	} else if addr, err := netip.ParseAddrPort(u.Host); err == nil && addr.Port() == 0 {
		t.Errorf("%q: took port 0", text)
	}
}
