package config

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// onlySet empties the environment but for these variables.
func onlySet(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		t.Setenv(name, value) // so that it is put back
		os.Unsetenv(name)
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		t.Setenv(name, variables[name])
	}
}

func TestFindUnknown_NamesWhatIsMeant(t *testing.T) {
	onlySet(t, map[string]string{
		"ACCOUNTS": "shop,crm-2", "REDIS_URL": "redis://r",
		"CALLBACK_ALOW_HTTP": "canary", "MARKSING_URL": "canary", "CRM_2_MARKSIGN_ACCESS_TOKEN_FLIE": "canary",
		"LOG_LEVL": "canary", "LISTN": "canary", "POLL_PACE_SECONDS": "canary", "SHPO_WEBHOOK_SECRETS": "canary",

		"SHOP_CALLBACK_URL": "https://x", "CRM_2_WEBHOOK_SECRETS_FILE": "/x", "OUTCOME_KEYS_FILE": "/x", // ours
		"PATH": "/bin", "HOME": "/", "HOSTNAME": "x", "LANG": "C", "REDIS_URI": "x", "TZ": "x", "GOMAXPROCS": "2", "LOG_DIR": "x", // others'
		"WEBHOOK_SERVICE_HOST": "x", "WEBHOOK_PORT": "x", "WEBHOOK_PORT_8080_TCP_ADDR": "x", "SHOP_PHONE": "x", "CALLBACK_URL_FILE": " ", "API_URL": "x", "SHOP_CALLBACK_URI": "x",
	})
	want := []Unknown{
		{"CALLBACK_ALOW_HTTP", "CALLBACK_ALLOW_HTTP"},
		{"CRM_2_MARKSIGN_ACCESS_TOKEN_FLIE", "CRM_2_MARKSIGN_ACCESS_TOKEN_FILE"},
		{"LISTN", "LISTEN"},
		{"LOG_LEVL", "LOG_LEVEL"},
		{"MARKSING_URL", "MARKSIGN_URL"},
		{"POLL_PACE_SECONDS", ""},
		{"SHPO_WEBHOOK_SECRETS", "SHOP_WEBHOOK_SECRETS"},
	}
	got := FindUnknown()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFindUnknown_KnowsEverySetting(t *testing.T) {
	variables := map[string]string{"ACCOUNTS": "shop"}
	for _, s := range Settings() {
		if s.Name != "ACCOUNTS" {
			variables[s.Name] = "x"
		}
		if s.Secret {
			variables[s.fileName()] = "x"
		}
		if s.OfAccount {
			variables["SHOP_"+s.Name] = "x"
		}
	}
	onlySet(t, variables)
	if got := FindUnknown(); len(got) > 0 {
		t.Errorf("it does not know %v", got)
	}
}

func TestSlipsBetween(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"abc", "abd", 1},
		{"abc", "abcd", 1},
		{"abcd", "bc", 2},
		{"ca", "abc", 3},
		{"REDIS_URL", "RDEIS_ULR", 2},
	} {
		if got := slipsBetween(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
