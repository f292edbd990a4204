package main

import (
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/config"
)

func TestRun_EachCommandHasHelpWithExamples(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "enqueue", "status", "sessions", "redeliver", "health", "doctor", "dev", "simulate", "receive", "secret", "version"} {
		code, stdout, stderr := exec(t, "", command, "--help")
		if code != exitDone || stderr != "" || !strings.Contains(stdout, "Examples:\n") || !strings.Contains(stdout, "identwatch "+command) {
			t.Errorf("%s: exit %d, stderr %q, help\n%s", command, code, stderr, stdout)
		}
		for line := range strings.SplitSeq(strings.SplitN(stdout, "Usage:", 2)[0], "\n") {
			if len(line) > 84 {
				t.Errorf("%s: a line of the help is too long for a terminal: %s", command, line)
			}
		}
	}
}

func TestRun_HelpTellsTheEnvironment(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"serve": config.Help(), "enqueue": config.Help("REDIS_URL", "SHARDS", "ACCOUNTS"), "status": config.Help("REDIS_URL", "SHARDS", "ACCOUNTS"), "sessions": config.Help("REDIS_URL", "SHARDS", "ACCOUNTS"), "health": config.Help("LISTEN"), "doctor": config.Help(),
		"simulate": "  MARKSIGN_ACCESS_TOKEN or MARKSIGN_ACCESS_TOKEN_FILE\n", "receive": "  WEBHOOK_SECRETS or WEBHOOK_SECRETS_FILE\n",
	} {
		if _, stdout, _ := exec(t, "", command, "--help"); !strings.Contains(stdout, "\nEnvironment:\n"+want) {
			t.Errorf("%s: the help lacks its environment:\n%s", command, stdout)
		}
	}
	if _, stdout, _ := exec(t, "", "dev", "--help"); strings.Contains(stdout, "Environment:") {
		t.Error("dev says that it reads the environment")
	}
}

func TestRun_WrongUsageIsExit2AndNoDump(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"serv"},
		{"--bogus"},
		{"serve", "--bogus"},
		{"serve", "extra"},
		{"version", "extra"},
		{"enqueue"},
		{"enqueue", "--method", "passport", "T"},
		{"enqueue", "--callback", "ftp://example.com", "T"},
		{"enqueue", "--callback", "https://user@example.com/", "T"},
		{"enqueue", "--check", "peps,peps", "T"},
		{"enqueue", "--reference", strings.Repeat("x", 201), "T"},
		{"enqueue", "--locale", "fr", "T"},
		{"enqueue", "--account", "UPPER", "T"},
		{"enqueue", "--started-at", "yesterday", "T"},
		{"enqueue", "--started-at", "1999-01-01T00:00:00Z", "T"},
		{"enqueue", "--retention", "1m", "T"},
		{"enqueue", "--retention", "0", "T"},
		{"status"},
		{"status", "a", "b"},
		{"status", "bad/token"},
		{"status", "--account", "UPPER", "a"},
		{"sessions", "a"},
		{"sessions", "--state", "gone"},
		{"sessions", "--limit", "-1"},
		{"sessions", "--account", "UPPER"},
		{"redeliver", "--account", "UPPER", "--all"},
		{"doctor", "extra"},
		{"secret", "passport"},
		{"secret", "webhook", "webhook"},
		{"secret", "all", "webhook"},
		{"secret", "--bare"},
		{"secret", "--bare", "all"},
		{"secret", "--bare", "webhook", "outcome"},
		{"dev", "--sessions", "-1"},
		{"dev", "--sessions", "1001"},
		{"dev", "--log-level", "loud"},
		{"simulate", "--errors", "1.1"},
		{"simulate", "--errors", "NaN"},
		{"simulate", "--errors", "0.6", "--hang", "0.6"},
		{"simulate", "--outage", "20s"},
		{"simulate", "--outage", "20s,0s"},
		{"simulate", "--sessions", "5"},
		{"simulate", "--sessions-file", "-"},
		{"simulate", "--sessions", "1", "--sessions-file", "-", "--method", "passport"},
		{"simulate", "--sessions", "1", "--sessions-file", "-", "--confirm-between", "5s,1s"},
		{"receive", "--answer", "99"},
		{"receive", "--public-key", "whpk_wrong"},
	} {
		code, stdout, stderr := exec(t, "", args...)
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") > 6 || !strings.Contains(stderr, "--help' for usage") {
			t.Errorf("%q: exit %d, stdout %q, stderr\n%s", args, code, stdout, stderr)
		}
	}
}

func TestRun_UnknownCommandSuggestsTheKnown(t *testing.T) {
	t.Parallel()
	if _, _, stderr := exec(t, "", "serv"); !strings.Contains(stderr, "serve") || !strings.HasPrefix(stderr, "identwatch: unknown command") {
		t.Errorf("got %s", stderr)
	}
}

func TestVersion_NamesTheReleaseAndGo(t *testing.T) {
	version = "v1.2.3"
	t.Cleanup(func() { version = "" })
	code, stdout, _ := exec(t, "", "version")
	if code != exitDone || !strings.HasPrefix(stdout, "identwatch v1.2.3, go1.") || strings.Count(stdout, "\n") != 1 {
		t.Errorf("exit %d, %q", code, stdout)
	}
}
