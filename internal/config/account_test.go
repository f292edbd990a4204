package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// setTwoAccounts sets what a service of two accounts requires.
func setTwoAccounts(t *testing.T) {
	t.Helper()
	setRequired(t)
	t.Setenv("MARKSIGN_ACCESS_TOKEN", "")
	t.Setenv("WEBHOOK_SECRETS", "")
	t.Setenv("ACCOUNTS", "shop, crm-eu")
	for name, value := range map[string]string{
		"SHOP_MARKSIGN_ACCESS_TOKEN": "token-shop", "SHOP_WEBHOOK_SECRETS": encoded(32, 1),
		"CRM_EU_MARKSIGN_ACCESS_TOKEN": "token-crm", "CRM_EU_WEBHOOK_SECRETS": encoded(32, 2),
	} {
		t.Setenv(name, value)
	}
}

func TestAccounts_HaveVariablesOfTheirOwn(t *testing.T) {
	setTwoAccounts(t)
	t.Setenv("CALLBACK_URL", "https://common.example/hook")
	t.Setenv("SHOP_CALLBACK_URL", "https://shop.example/hook")
	t.Setenv("CRM_EU_MARKSIGN_URL", "https://test.marksign.eu")
	t.Setenv("CRM_EU_MARKSIGN_LOCALE", "en")
	t.Setenv("CRM_EU_CALLBACK_URL", " ") // blank is not set
	t.Setenv("SHOP_API_KEYS", "sha256:"+strings.Repeat("01", 32))
	t.Setenv("CRM_EU_WEBHOOK_SIGNING_KEY", "whsk_"+encoded(32, 9))
	cfg := mustLoadServe(t)
	if len(cfg.Accounts) != 2 || cfg.Accounts[0].Name != "shop" || cfg.Accounts[1].Name != "crm-eu" {
		t.Fatalf("got %d accounts: %+v", len(cfg.Accounts), cfg.Accounts)
	}
	shop, crm := cfg.Accounts[0], cfg.Accounts[1]
	for what, got := range map[string][2]string{
		"the access token of shop": {shop.MarkSignAccessToken.Reveal(), "token-shop"},
		"the access token of crm":  {crm.MarkSignAccessToken.Reveal(), "token-crm"},
		"the callback of shop":     {shop.CallbackURL, "https://shop.example/hook"},
		"the callback of crm":      {crm.CallbackURL, "https://common.example/hook"},
		"the base URL of shop":     {shop.MarkSignURL, "https://api.marksign.eu"},
		"the base URL of crm":      {crm.MarkSignURL, "https://test.marksign.eu"},
		"the locale of crm":        {crm.MarkSignLocale, "en"},
		"the secrets of crm":       {strings.Join(crm.WebhookSecrets.Reveal(), ","), encoded(32, 2)},
		"the signing key of shop":  {shop.WebhookSigningKey.Reveal(), ""},
		"the signing key of crm":   {crm.WebhookSigningKey.Reveal(), "whsk_" + encoded(32, 9)},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: got %q, want %q", what, got[0], got[1])
		}
	}
	if len(shop.APIKeys.Reveal()) != 1 || len(crm.APIKeys.Reveal()) != 0 {
		t.Errorf("got API keys %v and %v", shop.APIKeys.Reveal(), crm.APIKeys.Reveal())
	}
}

func TestAccounts_FaultsNameTheAccountsVariables(t *testing.T) {
	setTwoAccounts(t)
	t.Setenv("MARKSIGN_ACCESS_TOKEN", "common")
	t.Setenv("WEBHOOK_SECRETS_FILE", "/run/secrets/webhook")
	t.Setenv("SHOP_MARKSIGN_ACCESS_TOKEN", "")
	t.Setenv("SHOP_CALLBACK_URL", "http://shop.example/hook")
	t.Setenv("CRM_EU_WEBHOOK_SECRETS", "")
	t.Setenv("CRM_EU_MARKSIGN_LOCALE", "fr")
	t.Setenv("CRM_EU_OUTCOME_KEYS", "of no account") // is not read
	t.Setenv("SHOP_API_KEYS", "sha256:"+strings.Repeat("01", 32))
	t.Setenv("CRM_EU_API_KEYS", "sha256:"+strings.Repeat("01", 32))
	_, err := LoadServe(Checks{})
	faults := faultsOf(t, err)
	for name, want := range map[string]string{
		"MARKSIGN_ACCESS_TOKEN":      "is set, and ACCOUNTS too: say whose it is, as in SHOP_MARKSIGN_ACCESS_TOKEN",
		"WEBHOOK_SECRETS_FILE":       "is set, and ACCOUNTS too: say whose it is, as in SHOP_WEBHOOK_SECRETS_FILE",
		"SHOP_MARKSIGN_ACCESS_TOKEN": "is required",
		"SHOP_CALLBACK_URL":          "is plain http",
		"CRM_EU_WEBHOOK_SECRETS":     "is required unless `CRM_EU_WEBHOOK_SIGNING_KEY` is set",
		"CRM_EU_MARKSIGN_LOCALE":     "not a choice",
		"CRM_EU_API_KEYS":            "has a key of account shop too",
	} {
		if !strings.Contains(faults[name], want) {
			t.Errorf("%s: got %q, want it to say %q", name, faults[name], want)
		}
	}
	if len(faults) != 7 {
		t.Errorf("got %d faults, want 7:\n%v", len(faults), err)
	}
}

func TestAccounts_HaveNoWebhookSecretInCommon(t *testing.T) {
	setTwoAccounts(t)
	t.Setenv("CRM_EU_WEBHOOK_SECRETS", encoded(32, 3)+","+encoded(32, 1))
	_, err := LoadServe(Checks{})
	if faults := faultsOf(t, err); len(faults) != 1 || !strings.Contains(faults["CRM_EU_WEBHOOK_SECRETS"], "has a secret of account shop too") {
		t.Errorf("got %v", err)
	}
}

func TestAccounts_HaveNoTaskKeyInCommon(t *testing.T) {
	setTwoAccounts(t)
	t.Setenv("SHOP_TASK_KEYS", "task_"+encoded(32, 5))
	t.Setenv("CRM_EU_TASK_KEYS", "task_"+encoded(32, 6)+",task_"+encoded(32, 5))
	_, err := LoadServe(Checks{})
	if faults := faultsOf(t, err); len(faults) != 1 || !strings.Contains(faults["CRM_EU_TASK_KEYS"], "has a key of account shop too") {
		t.Errorf("got %v", err)
	}
}

func TestLoadEnqueue_ReadsWhatIsOfEachAccount(t *testing.T) {
	setTwoAccounts(t)
	t.Setenv("SHOP_TASK_KEYS", "task_"+encoded(32, 5))
	t.Setenv("CALLBACK_HOSTS", "common.example")
	t.Setenv("CRM_EU_CALLBACK_HOSTS", "*.crm.example")
	cfg, err := LoadEnqueue()
	if err != nil {
		t.Fatal(err)
	}
	if shop, crm := cfg.TaskKeys["shop"].Reveal(), cfg.TaskKeys["crm-eu"].Reveal(); len(shop) != 1 || len(crm) != 0 {
		t.Errorf("got %d and %d keys", len(shop), len(crm))
	}
	if shop, crm := cfg.CallbackHosts["shop"], cfg.CallbackHosts["crm-eu"]; strings.Join(shop, ",") != "common.example" || strings.Join(crm, ",") != "*.crm.example" {
		t.Errorf("got the hosts %q and %q", shop, crm)
	}
}

func TestAccounts_ChecksAreAskedAboutEach(t *testing.T) {
	setTwoAccounts(t)
	t.Setenv("CALLBACK_URL", "https://common.example/")
	var asked []string
	_, err := LoadServe(Checks{Account: []AccountCheck{{
		Names: []string{"CALLBACK_URL"},
		Find:  func(_ Serve, a Account) error { asked = append(asked, a.Name+" "+a.CallbackURL); return nil },
	}}})
	if got := strings.Join(asked, ", "); err != nil || got != "shop https://common.example/, crm-eu https://common.example/" {
		t.Errorf("asked about %s; %v", got, err)
	}
}

func TestAccounts_CommandsChooseOne(t *testing.T) {
	setRequired(t)
	for _, test := range []struct{ accounts, name, want string }{
		{"", "", "default"},
		{"", "shop", "shop"},
		{"shop", "", "shop"},
		{"shop", "default", ""},
		{"shop,crm", "", ""},
		{"shop,crm", "crm", "crm"},
		{"shop,crm", "other", ""},
	} {
		t.Setenv("ACCOUNTS", test.accounts)
		enqueue, err := LoadEnqueue()
		redeliver, err2 := LoadRedeliver()
		if err != nil || err2 != nil || !slices.Equal(enqueue.Accounts, redeliver.Accounts) {
			t.Fatalf("got %q and %q; %v, %v", enqueue.Accounts, redeliver.Accounts, err, err2)
		}
		if got, err := ChooseAccount(test.name, enqueue.Accounts); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("ACCOUNTS=%s, %q: got %q, %v, want %q", test.accounts, test.name, got, err, test.want)
		}
	}
}

func TestAccount_ReadsItsAccessTokenAgainFromAFile(t *testing.T) {
	setTwoAccounts(t)
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	t.Setenv("SHOP_MARKSIGN_ACCESS_TOKEN", "")
	t.Setenv("SHOP_MARKSIGN_ACCESS_TOKEN_FILE", path)
	cfg := mustLoadServe(t)
	shop, crm := cfg.Accounts[0], cfg.Accounts[1]
	if got := shop.MarkSignAccessToken.Reveal(); got != "first" {
		t.Errorf("got %q", got)
	}
	write("second\n")
	if token, has, err := shop.ReadAccessToken(); err != nil || !has || token.Reveal() != "second" {
		t.Errorf("got %q, %t, %v", token.Reveal(), has, err)
	}
	if _, has, err := crm.ReadAccessToken(); has || err != nil {
		t.Errorf("an account without a file: %t, %v", has, err)
	}
	for _, bad := range []string{"", "two words"} {
		write(bad)
		if _, has, err := shop.ReadAccessToken(); err == nil || !has || strings.Contains(err.Error(), path) {
			t.Errorf("%q: got %t, %v", bad, has, err)
		}
	}
}
