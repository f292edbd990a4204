package main

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/worker"
)

// signingKeyOfTwoHalves is a key whose halves do not belong together, which only
// package webhook sees.
func signingKeyOfTwoHalves() string { return "whsk_" + key(64, 5) }

func TestServe_ReportsAllFaultsAtOnceWithoutSecrets(t *testing.T) {
	const mark = "geheim"
	environmentOf(t, map[string]string{
		"REDIS_URL":           "redis://:" + mark + "@host:port/0", // which only the client sees
		"WEBHOOK_SECRETS":     "whsec_" + mark,
		"WEBHOOK_SIGNING_KEY": signingKeyOfTwoHalves(),
		"OUTCOME_KEYS":        mark,
		"CALLBACK_URL":        "https://127.0.0.1/hook", // which only the sender sees
		"LEASE":               "1s",
		"LISTEN":              "nowhere",
	})
	code, stdout, stderr := exec(t, "", "serve")
	if code != exitUsage || stdout != "" {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
	for _, name := range []string{
		"REDIS_URL", "MARKSIGN_ACCESS_TOKEN", "WEBHOOK_SECRETS", "WEBHOOK_SIGNING_KEY", "OUTCOME_KEYS", "CALLBACK_URL", "LEASE", "LISTEN",
	} {
		if strings.Count(stderr, "\n  "+name+": ") != 1 {
			t.Errorf("%s is not reported once", name)
		}
	}
	if strings.Contains(stderr, mark) || strings.Contains(stderr, key(64, 5)) || strings.Contains(stderr, "webhook: ") {
		t.Errorf("the report shows what it must not:\n%s", stderr)
	}
	if t.Failed() {
		t.Log(stderr)
	}
}

func TestServe_ReportsWhatOnlyItsPartsSee(t *testing.T) {
	seventeen := make([]string, 17)
	for i := range seventeen {
		seventeen[i] = key(32, byte(i+1))
	}
	for name, test := range map[string]struct{ variable, value, want string }{
		"redis port":        {"REDIS_URL", "redis://host:port", "REDIS_URL: is not a Redis URL: use"},
		"redis setting":     {"REDIS_URL", "redis://host?pol_size=3", "REDIS_URL: is not a Redis URL: use"},
		"sentinel":          {"REDIS_URL", "redis-sentinel://h1:26379,h2:26379/0", "REDIS_URL: is not a Redis URL: use"},
		"too many secrets":  {"WEBHOOK_SECRETS", strings.Join(seventeen, ","), "WEBHOOK_SECRETS: is refused: "},
		"signing key":       {"WEBHOOK_SIGNING_KEY", signingKeyOfTwoHalves(), "WEBHOOK_SIGNING_KEY: is refused: the two halves"},
		"callback address":  {"CALLBACK_URL", "https://10.0.0.1/", "CALLBACK_URL: is refused: callback URL has an address that is not allowed: it is not public, so add its network to CALLBACK_ALLOW_NETWORKS"},
		"callback port":     {"CALLBACK_URL", "https://example.com:22/", "CALLBACK_URL: is refused: callback URL has a port"},
		"callback metadata": {"CALLBACK_URL", "https://169.254.169.254/", "CALLBACK_URL: is refused: "},
	} {
		t.Run(name, func(t *testing.T) {
			variables := secrets()
			variables["REDIS_URL"] = "redis://127.0.0.1:1"
			variables[test.variable] = test.value
			environmentOf(t, variables)
			code, _, stderr := exec(t, "", "serve")
			if code != exitUsage || !strings.Contains(stderr, "\n  "+test.want) || strings.Count(stderr, "\n  ") != 1 {
				t.Errorf("exit %d, got %s\nwant %s, and nothing else", code, stderr, test.want)
			}
		})
	}
}

func TestServe_TakesAListOfSentinels(t *testing.T) {
	variables := secrets()
	variables["REDIS_URL"] = "redis-sentinel://user:pass@h1:26379,h2:26379/0?master=name"
	environmentOf(t, variables)
	if _, err := config.LoadServe(serveChecks); err != nil {
		t.Error(err)
	}
}

func TestWorkerOptions_CarryEverySetting(t *testing.T) {
	variables := secrets()
	maps.Copy(variables, map[string]string{
		"REDIS_URL": "redis://127.0.0.1:1", "MARKSIGN_URL": "http://localhost:1/base", "MARKSIGN_LOCALE": "en",
		"CALLBACK_URL": "https://example.com/", "POLL_PACE": "2s,1m:10s", "POLL_RATE": "7", "POLL_WORKERS": "8", "FOLLOW_LIMIT": "9",
		"LEASE": "4s", "SESSION_TIMEOUT": "11m", "DELIVERY_WINDOW": "12h", "DELIVERY_TIMEOUT": "13s", "DELIVERY_CONCURRENCY": "14",
		"REDELIVERY_WINDOW": "0", "SHUTDOWN_TIMEOUT": "16s",
	})
	environmentOf(t, variables)
	cfg, err := config.LoadServe(serveChecks)
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := newAccounts(cfg, closedTo(cfg))
	if err != nil {
		t.Fatal(err)
	}
	got := workerOptions(cfg, accounts, nil, nil)
	account := got.Accounts[0]
	if account.Name != "default" || account.Sender == nil || account.MarkSign != (worker.MarkSign{BaseURL: "http://localhost:1/base", AccessToken: "access-token-1", Locale: "en"}) ||
		account.CallbackURL != "https://example.com/" || got.PollRate != 7 || got.PollWorkers != 8 || got.FollowLimit != 9 ||
		got.Lease != 4*time.Second || got.SessionTimeout != 11*time.Minute || got.DeliveryWindow != 12*time.Hour ||
		got.DeliveryTimeout != 13*time.Second || got.DeliveryConcurrency != 14 || got.ShutdownTimeout != 16*time.Second {
		t.Errorf("got %+v", got)
	}
	if got.RedeliveryWindow >= 0 {
		t.Errorf("a redelivery window of 0 became %v, which is not to erase at once", got.RedeliveryWindow)
	}
	want := worker.Pace{{From: 0, Every: 2 * time.Second}, {From: time.Minute, Every: 10 * time.Second}}
	if len(got.Pace) != 2 || got.Pace[0] != want[0] || got.Pace[1] != want[1] {
		t.Errorf("got pace %v", got.Pace)
	}
}
