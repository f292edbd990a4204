package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/settings"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// made runs the command and returns the variables that it printed.
func made(t *testing.T, args ...string) map[string]string {
	t.Helper()
	code, stdout, stderr := exec(t, "", append([]string{"secret"}, args...)...)
	if code != exitDone || stderr != "" {
		t.Fatalf("%q: exit %d, stderr %q, which is no terminal", args, code, stderr)
	}
	variables := map[string]string{}
	for line := range strings.Lines(stdout) {
		name, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !found || variables[name] != "" || strings.ContainsAny(value, " \"'$\\#") {
			t.Errorf("%q: %q is no line that every reader of .env files takes", args, line)
		}
		variables[name] = value
	}
	return variables
}

func TestSecret_MakesAllThatServeNeeds(t *testing.T) {
	variables := made(t, "all")
	if len(variables) != 9 {
		t.Errorf("got %d lines", len(variables))
	}
	public := variables["WEBHOOK_PUBLIC_KEY"]
	variables["REDIS_URL"], variables["MARKSIGN_ACCESS_TOKEN"] = "redis://127.0.0.1:1", "access-token-1"
	environmentOf(t, variables)
	cfg, err := config.LoadServe(settings.Checks)
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := settings.NewAccounts(cfg, settings.ClosedTo(cfg))
	if err != nil {
		t.Fatal(err)
	}
	if key := accounts[0].PublicKey.String(); key != public {
		t.Errorf("the public key is %s, printed was %s", key, public)
	}
}

func TestSecret_MakesWhatIsNamed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args, names []string
	}{
		{[]string{"webhook"}, []string{"WEBHOOK_SECRETS"}},
		{[]string{"signing"}, []string{"WEBHOOK_SIGNING_KEY", "WEBHOOK_PUBLIC_KEY"}},
		{[]string{"outcome"}, []string{"OUTCOME_KEYS"}},
		{[]string{"api"}, []string{"API_KEY", "API_KEYS"}},
		{[]string{"task"}, []string{"TASK_KEYS"}},
		{[]string{"redis"}, []string{"REDIS_PASSWORD"}},
		{[]string{"outcome", "webhook"}, []string{"OUTCOME_KEYS", "WEBHOOK_SECRETS"}},
	} {
		first, second := made(t, test.args...), made(t, test.args...)
		if len(first) != len(test.names) {
			t.Errorf("%q: got %d lines", test.args, len(first))
		}
		for _, name := range test.names {
			if first[name] == "" || first[name] == second[name] {
				t.Errorf("%q: %s is missing, or the same twice", test.args, name)
			}
		}
	}
	if raw, err := base64.StdEncoding.DecodeString(made(t, "outcome")["OUTCOME_KEYS"]); err != nil || len(raw) != 32 {
		t.Errorf("an outcome key of %d bytes, %v", len(raw), err)
	}
}

func TestSecret_BareIsTheSecretAlone(t *testing.T) {
	t.Parallel()
	for name, parse := range map[string]func(string) error{
		"webhook": func(s string) error { _, err := webhook.ParseSecret(s); return err },
		"signing": func(s string) error { _, err := webhook.ParseSigningKey(s); return err },
		"outcome": func(s string) error { _, err := base64.StdEncoding.DecodeString(s); return err },
		"task":    func(s string) error { _, err := tasks.ParsePayloadKey(s); return err },
		"api":     apiKeyFault,
	} {
		code, stdout, stderr := exec(t, "", "secret", name, "--bare")
		if err := parse(strings.TrimSuffix(stdout, "\n")); code != exitDone || stderr != "" || err != nil {
			t.Errorf("%s: exit %d, stderr %q, %v", name, code, stderr, err)
		}
	}
}

func apiKeyFault(key string) error {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(key, "iwk_"))
	if err == nil && (len(raw) != 32 || !strings.HasPrefix(key, "iwk_")) {
		err = errors.New("no API key")
	}
	return err
}

func TestSecret_HashesTheAPIKeyForTheService(t *testing.T) {
	t.Parallel()
	variables := made(t, "api")
	hash := sha256.Sum256([]byte(variables["API_KEY"]))
	if err := apiKeyFault(variables["API_KEY"]); err != nil || variables["API_KEYS"] != "sha256:"+hex.EncodeToString(hash[:]) {
		t.Errorf("%v: API_KEYS=%s", err, variables["API_KEYS"])
	}
}

func TestSecret_WithoutANameTellsWhatItCanMake(t *testing.T) {
	t.Parallel()
	code, stdout, _ := exec(t, "", "secret")
	if code != exitDone || strings.Contains(stdout, "whsec_") {
		t.Errorf("exit %d, %s", code, stdout)
	}
	for _, k := range kinds {
		if !strings.Contains(stdout, "\n  "+k.name+" ") {
			t.Errorf("the help does not tell of %s", k.name)
		}
	}
}

// TestServe_RefusesShortSecretsAndShowsNone starts the service with each secret
// in wrong forms, each of which has a mark.
func TestServe_RefusesShortSecretsAndShowsNone(t *testing.T) {
	mark := base64.StdEncoding.EncodeToString([]byte("geheim geheim geheim gehei")) // 26 bytes
	short := base64.StdEncoding.EncodeToString([]byte("geheim geheim geheim ge"))   // 23 bytes
	for _, test := range []struct{ variable, value string }{
		{"WEBHOOK_SECRETS", short},
		{"WEBHOOK_SECRETS", "whsec_" + short},
		{"WEBHOOK_SECRETS", "whsk_" + mark},
		{"WEBHOOK_SECRETS", mark[:8] + "!" + mark[8:]},
		{"WEBHOOK_SECRETS", key(32, 1) + "," + short},
		{"WEBHOOK_SIGNING_KEY", mark},
		{"WEBHOOK_SIGNING_KEY", "whsk_" + mark},
		{"WEBHOOK_SIGNING_KEY", "whsec_" + mark},
		{"OUTCOME_KEYS", mark},
		{"OUTCOME_KEYS", "whsec_" + key(32, 1)},
		{"OUTCOME_KEYS", key(32, 1) + "," + short},
		{"OUTCOME_KEYS", "geheim"},
	} {
		variables := secrets()
		variables["REDIS_URL"] = "redis://127.0.0.1:1"
		variables[test.variable] = test.value
		environmentOf(t, variables)
		code, stdout, stderr := exec(t, "", "serve")
		if code != exitUsage || stdout != "" || strings.Count(stderr, "\n  "+test.variable+": ") != 1 || strings.Count(stderr, "\n  ") != 1 {
			t.Errorf("%s: exit %d, stdout %q, got %s", test.variable, code, stdout, stderr)
		}
		for _, shown := range []string{"geheim", mark[:8], key(32, 1)[:16]} {
			if strings.Contains(stderr, shown) {
				t.Errorf("%s: the report shows %s:\n%s", test.variable, shown, stderr)
			}
		}
	}
}
