package main

import (
	"strings"
	"testing"
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
