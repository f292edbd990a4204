package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecretFile_StandsForTheValue(t *testing.T) {
	for _, end := range []string{"", "\n", "\r\n"} {
		clearVariables(t)
		for name, value := range map[string]string{
			"REDIS_URL":             "redis://from-file:6379",
			"MARKSIGN_ACCESS_TOKEN": "token-from-file",
			"WEBHOOK_SECRETS":       encoded(32, 1) + "\n" + encoded(32, 2) + "\r\n\n" + encoded(32, 3) + "," + encoded(32, 4),
			"WEBHOOK_SIGNING_KEY":   "whsk_" + encoded(32, 5),
			"OUTCOME_KEYS":          encoded(32, 6) + "\n" + encoded(32, 7),
			"MONITOR_PASSWORD":      " of 12 characters ",
		} {
			t.Setenv(name+"_FILE", writeFile(t, value+end))
		}
		cfg := mustLoadServe(t)
		got := []string{cfg.RedisURL.Reveal(), cfg.Accounts[0].MarkSignAccessToken.Reveal(), cfg.Accounts[0].WebhookSigningKey.Reveal(), cfg.MonitorPassword.Reveal()}
		want := []string{"redis://from-file:6379", "token-from-file", "whsk_" + encoded(32, 5), " of 12 characters "}
		if !slices.Equal(got, want) {
			t.Errorf("end %q: got %q, want %q", end, got, want)
		}
		wantSecrets := []string{encoded(32, 1), encoded(32, 2), encoded(32, 3), encoded(32, 4)}
		if secrets := cfg.Accounts[0].WebhookSecrets.Reveal(); !slices.Equal(secrets, wantSecrets) {
			t.Errorf("end %q: got webhook secrets %q, want %q", end, secrets, wantSecrets)
		}
		if keys := cfg.OutcomeKeys.Reveal(); len(keys) != 2 || keys[1][0] != 7 {
			t.Errorf("end %q: got outcome keys %v", end, keys)
		}
	}
}

func TestSecretFile_Faults(t *testing.T) {
	full := writeFile(t, "token")
	tests := map[string]struct {
		value, path string
		name, want  string
	}{
		"both set":       {"token", full, "MARKSIGN_ACCESS_TOKEN_FILE", "is set, and MARKSIGN_ACCESS_TOKEN too: set one of the two"},
		"no such file":   {"", full + ".none", "MARKSIGN_ACCESS_TOKEN_FILE", "names a file that cannot be read (no such file or directory)"},
		"a directory":    {"", filepath.Dir(full), "MARKSIGN_ACCESS_TOKEN_FILE", "names a file that cannot be read (is a directory)"},
		"empty":          {"", writeFile(t, ""), "MARKSIGN_ACCESS_TOKEN_FILE", "names an empty file"},
		"blank":          {"", writeFile(t, " \n\n"), "MARKSIGN_ACCESS_TOKEN_FILE", "names an empty file"},
		"too long":       {"", writeFile(t, strings.Repeat("x", maxFile+1)), "MARKSIGN_ACCESS_TOKEN_FILE", "more than 64 KiB"},
		"without an end": {"", "/dev/zero", "MARKSIGN_ACCESS_TOKEN_FILE", "more than 64 KiB"},
		"two newlines":   {"", writeFile(t, "token\n\n"), "MARKSIGN_ACCESS_TOKEN", "white space"},
		"longest":        {"", writeFile(t, strings.Repeat("x", maxFile)), "", ""},
		"blank value":    {" ", full, "", ""},
		"blank path":     {"token", " ", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			setRequired(t)
			t.Setenv("MARKSIGN_ACCESS_TOKEN", test.value)
			t.Setenv("MARKSIGN_ACCESS_TOKEN_FILE", test.path)
			_, err := LoadServe(Checks{})
			if test.name == "" {
				if err != nil {
					t.Errorf("got %v, want no fault", err)
				}
				return
			}
			got := faultsOf(t, err)
			if len(got) != 1 || !strings.Contains(got[test.name], test.want) {
				t.Errorf("got %v\nwant %s: %s", err, test.name, test.want)
			}
		})
	}
}

func TestSecretFile_WebhookSecretsFileSatisfiesTheRequirement(t *testing.T) {
	setRequired(t)
	t.Setenv("WEBHOOK_SECRETS", "")
	t.Setenv("WEBHOOK_SECRETS_FILE", filepath.Join(t.TempDir(), "none"))
	_, err := LoadServe(Checks{})
	if got := faultsOf(t, err); len(got) != 1 || got["WEBHOOK_SECRETS_FILE"] == "" {
		t.Errorf("got %v, want the fault of the file alone", err)
	}
}
