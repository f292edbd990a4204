package config

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// mark is in every secret value of these tests.
const mark = "m4rk3d5ecret"

// markedKey is a key of 32 bytes whose bytes would show, however they are printed.
var markedKey = []byte("m4rk3d5ecret-and-twenty-more-by!")

// showsSecret says whether text has the mark, as text, hex, base64 or numbers.
func showsSecret(text string) bool {
	raw := []byte(mark)
	numbers := strings.Trim(fmt.Sprintf("%d", raw), "[]")
	for _, form := range []string{
		mark,
		hex.EncodeToString(raw),
		fmt.Sprintf("% x", raw),
		numbers,
		strings.ReplaceAll(numbers, " ", ","),
		strings.Trim(fmt.Sprintf("%#v", raw), "[]byte{}"),
		base64.StdEncoding.EncodeToString(raw), // of 12 bytes: it is whole in that of more
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
			return true
		}
	}
	return false
}

func markedServe(t *testing.T) Serve {
	t.Helper()
	key := base64.StdEncoding.EncodeToString(markedKey)
	setRequired(t)
	t.Setenv("REDIS_URL", "redis://:"+mark+"@localhost:6379")
	t.Setenv("MARKSIGN_ACCESS_TOKEN", mark)
	t.Setenv("WEBHOOK_SECRETS", "whsec_"+key)
	t.Setenv("WEBHOOK_SIGNING_KEY", "whsk_"+key)
	t.Setenv("OUTCOME_KEYS", key)
	return mustLoadServe(t)
}

func TestSecret_RevealsWhatItHides(t *testing.T) {
	cfg := markedServe(t)
	if got := cfg.Accounts[0].MarkSignAccessToken.Reveal(); got != mark {
		t.Errorf("got %q", got)
	}
	if got := cfg.OutcomeKeys.Reveal(); len(got) != 1 || !bytes.Equal(got[0], markedKey) {
		t.Errorf("got %q", got)
	}
	if got := (Secret[string]{}).Reveal(); got != "" {
		t.Errorf("the zero Secret reveals %q", got)
	}
}

func TestSecret_PrintsRedacted(t *testing.T) {
	secret := NewSecret(mark)
	text, err := json.Marshal(map[string]any{"a": secret, "b": &secret})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{
		secret.String(), fmt.Sprint(secret), fmt.Sprintf("%s", secret), fmt.Sprintf("%#v", secret),
		fmt.Sprintf("%d", secret), secret.LogValue().String(),
	} {
		if got != "[redacted]" {
			t.Errorf("got %s", got)
		}
	}
	if got, want := string(text), `{"a":"[redacted]","b":"[redacted]"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestServe_ShowsNoSecret(t *testing.T) {
	cfg := markedServe(t)
	type holder struct{ cfg Serve } // fmt asks no method of what it holds
	type keys struct{ keys *Secret[[][]byte] }
	operands := []any{
		cfg, &cfg,
		holder{cfg},
		&holder{cfg},
		[]Serve{cfg},
		keys{&cfg.OutcomeKeys},
		cfg.RedisURL, cfg.OutcomeKeys, &cfg.Accounts[0].WebhookSecrets,
	}
	for _, operand := range operands {
		for _, verb := range "vsqxXdtbocUeEfFgGpwTy" {
			for _, flag := range []string{"", "+", "#", " ", "0", "-30.5"} {
				format := "%" + flag + string(verb)
				if got := fmt.Errorf(format, operand).Error(); showsSecret(got) {
					t.Fatalf("%T with %s: %s", operand, format, got)
				}
			}
		}
	}
}

func TestServe_LogsAndMarshalsNoSecret(t *testing.T) {
	cfg := markedServe(t)
	var out bytes.Buffer
	handlers := []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)}
	for _, handler := range handlers {
		slog.New(handler).Info("settings", "cfg", cfg, "pointer", &cfg, "url", cfg.RedisURL, "keys", cfg.OutcomeKeys)
	}
	if err := json.NewEncoder(&out).Encode(cfg); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); showsSecret(got) || strings.Count(got, "[redacted]") < 5 {
		t.Errorf("got %s", got)
	}
}

func TestFaults_ShowNoSecret(t *testing.T) {
	clearVariables(t)
	for name, value := range map[string]string{
		"REDIS_URL":                "http://:" + mark + "@host",
		"MARKSIGN_URL":             "https://user:" + mark + "@host",
		"MARKSIGN_ACCESS_TOKEN":    mark + " " + mark,
		"CALLBACK_URL":             "https://" + mark + "@host#" + mark,
		"WEBHOOK_SECRETS":          "whsec_" + mark + ",-" + mark,
		"WEBHOOK_SIGNING_KEY_FILE": "whsk_" + mark, // the value where the path belongs
		"OUTCOME_KEYS":             mark + "," + base64.StdEncoding.EncodeToString(markedKey),
	} {
		t.Setenv(name, value)
	}
	_, err := LoadServe(Checks{})
	if got := faultsOf(t, err); len(got) != 7 {
		t.Errorf("got %d faults, want 7", len(got))
	}
	if showsSecret(err.Error()) {
		t.Errorf("got\n%v", err)
	}
}
