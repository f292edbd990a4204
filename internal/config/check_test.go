package config

import (
	"errors"
	"testing"
)

func TestLoadServe_AsksChecksOfSoundSettingsAlone(t *testing.T) {
	tests := map[string]struct {
		env   map[string]string
		asked bool
	}{
		"sound":                   {map[string]string{"CALLBACK_URL": "https://example.com/"}, true},
		"not set":                 {nil, false},
		"faulty":                  {map[string]string{"CALLBACK_URL": "example.com"}, false},
		"another of it is faulty": {map[string]string{"CALLBACK_URL": "https://example.com/", "CALLBACK_ALLOW_HTTP": "yes"}, false},
		"set by a file that cannot be read": {
			map[string]string{"CALLBACK_URL": "https://example.com/", "OUTCOME_KEYS": "", "OUTCOME_KEYS_FILE": "/no/such/file"}, false,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			setRequired(t)
			for variable, value := range test.env {
				t.Setenv(variable, value)
			}
			asked := false
			_, err := LoadServe(Checks{Account: []AccountCheck{{
				Names: []string{"CALLBACK_URL", "CALLBACK_ALLOW_HTTP", "OUTCOME_KEYS"},
				Find:  func(_ Serve, a Account) error { asked = true; return errors.New("is refused: " + a.CallbackURL) },
			}}})
			if asked != test.asked {
				t.Errorf("asked is %t, want %t", asked, test.asked)
			}
			if test.asked && (len(faultsOf(t, err)) != 1 || err.Error() != "CALLBACK_URL: is refused: https://example.com/") {
				t.Errorf("got %v, want what the check found, and nothing else", err)
			}
		})
	}
}

func TestLoadServe_ReportsWhatChecksFindWithAllElse(t *testing.T) {
	setRequired(t)
	t.Setenv("LEASE", "1s")
	check := Check[Serve]{Names: []string{"REDIS_URL"}, Find: func(Serve) error { return errors.New("is odd") }}
	_, err := LoadServe(Checks{Service: []Check[Serve]{check}})
	if got := faultsOf(t, err); len(got) != 2 || got["REDIS_URL"] != "is odd" || got["LEASE"] == "" {
		t.Errorf("got %v", err)
	}
}

func TestLoadSimulateAndReceive_NeedNothingAndTakeTheirSecrets(t *testing.T) {
	clearVariables(t)
	simulate, err := LoadSimulate()
	receive, err2 := LoadReceive()
	if err != nil || err2 != nil || simulate.MarkSignAccessToken.Reveal() != "" || receive.WebhookSecrets.Reveal() != nil {
		t.Errorf("got %v, %v", err, err2)
	}
	t.Setenv("MARKSIGN_ACCESS_TOKEN", "token-1")
	t.Setenv("WEBHOOK_SECRETS", encoded(32, 1))
	simulate, err = LoadSimulate()
	receive, err2 = LoadReceive()
	if err != nil || err2 != nil || simulate.MarkSignAccessToken.Reveal() != "token-1" || len(receive.WebhookSecrets.Reveal()) != 1 {
		t.Errorf("got %v, %v", err, err2)
	}
	t.Setenv("MARKSIGN_ACCESS_TOKEN", "two words")
	t.Setenv("WEBHOOK_SECRETS", "short")
	_, err = LoadSimulate()
	_, err2 = LoadReceive()
	if faultsOf(t, err)["MARKSIGN_ACCESS_TOKEN"] == "" || faultsOf(t, err2)["WEBHOOK_SECRETS"] == "" {
		t.Errorf("got %v, %v", err, err2)
	}
}
