package config

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// encoded is base64 of n bytes of the value fill.
func encoded(n int, fill byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, n))
}

// setRequired clears all variables and sets those that have no default.
func setRequired(t *testing.T) {
	t.Helper()
	clearVariables(t)
	t.Setenv("REDIS_URL", "redis://localhost:6379/0")
	t.Setenv("MARKSIGN_ACCESS_TOKEN", "token-1")
	t.Setenv("WEBHOOK_SECRETS", "whsec_"+encoded(32, 1))
	t.Setenv("OUTCOME_KEYS", encoded(32, 2))
}

// clearVariables keeps what the tester's shell has set out of the test. Blank is
// not set, which TestLoadServe_BlankIsNotSet shows.
func clearVariables(t *testing.T) {
	t.Helper()
	for _, s := range Settings() {
		t.Setenv(s.Name, "")
		t.Setenv(s.fileName(), "")
	}
}

func mustLoadServe(t *testing.T) Serve {
	t.Helper()
	cfg, err := LoadServe(Checks{})
	if err != nil {
		t.Fatalf("LoadServe: %v", err)
	}
	return cfg
}

// faultsOf returns the faults in err by variable, and fails where there are none.
func faultsOf(t *testing.T, err error) map[string]string {
	t.Helper()
	var faults *Faults
	if !errors.As(err, &faults) {
		t.Fatalf("got error %v, want *Faults", err)
	}
	problems := make(map[string]string)
	for _, fault := range faults.List() {
		if problems[fault.Name] != "" {
			t.Errorf("%s is reported twice", fault.Name)
		}
		problems[fault.Name] = fault.Problem
	}
	return problems
}

func TestLoadServe_Defaults(t *testing.T) {
	setRequired(t)
	want := Serve{
		RedisURL: NewSecret("redis://localhost:6379/0"),
		Accounts: []Account{{
			Name:                "default",
			MarkSignURL:         "https://api.marksign.eu",
			MarkSignAccessToken: NewSecret("token-1"),
			MarkSignLocale:      "lt",
			WebhookSecrets:      NewSecret([]string{"whsec_" + encoded(32, 1)}),
			WebhookSigningKey:   NewSecret(""),
			APIKeys:             NewSecret[[][32]byte](nil),
			TaskKeys:            NewSecret[[]string](nil),
		}},
		OutcomeKeys:     NewSecret([][]byte{bytes.Repeat([]byte{2}, 32)}),
		Listen:          ":8080",
		MonitorUser:     "operator",
		MonitorPassword: NewSecret(""),
		PollPace:        "1s,30s:2s,60s:3s,2m:5s",
		Pace: []PaceStep{
			{0, time.Second},
			{30 * time.Second, 2 * time.Second},
			{time.Minute, 3 * time.Second},
			{2 * time.Minute, 5 * time.Second},
		},
		PollRate:            0,
		PollWorkers:         256,
		FollowLimit:         50_000,
		Lease:               10 * time.Second,
		SessionTimeout:      15 * time.Minute,
		DeliveryWindow:      72 * time.Hour,
		DeliveryTimeout:     15 * time.Second,
		DeliveryConcurrency: 64,
		RedeliveryWindow:    7 * 24 * time.Hour,
		APIRate:             500,
		MaxSessions:         100_000,
		LogLevel:            slog.LevelInfo,
		LogFormat:           "json",
		ShutdownTimeout:     30 * time.Second,
	}
	if got := mustLoadServe(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestLoadServe_BlankIsNotSet(t *testing.T) {
	setRequired(t)
	want := mustLoadServe(t)
	for _, s := range Settings() {
		if s.Required == "" {
			t.Setenv(s.Name, " \t ")
		}
	}
	if got := mustLoadServe(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant the defaults %+v", got, want)
	}
}

func TestLoadServe_RequiredBlankIsMissing(t *testing.T) {
	for _, blank := range []string{"", "  "} {
		clearVariables(t)
		for _, s := range Settings() {
			t.Setenv(s.Name, blank)
		}
		_, err := LoadServe(Checks{})
		got := faultsOf(t, err)
		for _, name := range []string{"REDIS_URL", "MARKSIGN_ACCESS_TOKEN", "WEBHOOK_SECRETS", "OUTCOME_KEYS"} {
			if !strings.HasPrefix(got[name], "is required") {
				t.Errorf("value %q: %s: %q, want it to be required", blank, name, got[name])
			}
		}
		if len(got) != 4 {
			t.Errorf("value %q: %d faults, want the 4 required variables:\n%v", blank, len(got), err)
		}
	}
}

func TestLoadServe_MissingSaysHowToMakeOne(t *testing.T) {
	clearVariables(t)
	_, err := LoadServe(Checks{})
	want := "OUTCOME_KEYS: is required: base64 of 32 random bytes, for example from `identwatch secret outcome`"
	if err == nil || !slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(line string) bool {
		return strings.HasPrefix(line, want)
	}) {
		t.Errorf("got\n%v\nwant a line that starts\n%s", err, want)
	}
}

// TestLoadServe_EachVariableSetsItsField finds a variable that is read into the
// field of another.
func TestLoadServe_EachVariableSetsItsField(t *testing.T) {
	good := map[string]string{
		"REDIS_URL": "rediss://other:6380/1", "MARKSIGN_URL": "http://localhost:8090/base/",
		"MARKSIGN_ACCESS_TOKEN": "token-2", "MARKSIGN_LOCALE": "EN", "MARKSIGN_ALLOW_HTTP": "true", "CALLBACK_URL": "https://example.com/hook?a=b",
		"CALLBACK_ALLOW_HTTP": "true", "CALLBACK_ALLOW_NETWORKS": "10.0.0.0/8, 192.0.2.7,fd00::/8",
		"WEBHOOK_SECRETS": encoded(24, 3) + ",whsec_" + encoded(64, 4), "WEBHOOK_SIGNING_KEY": "whsk_" + encoded(64, 5),
		"OUTCOME_KEYS": strings.TrimRight(encoded(32, 6), "=") + "," + encoded(32, 7), "LISTEN": "127.0.0.1:9000",
		"MONITOR_USER": "ona", "MONITOR_PASSWORD": "pass word č:12", "MONITOR_WRITE": "true",
		"POLL_PACE": " 2s, 1m:10s ", "POLL_RATE": "0.5", "POLL_WORKERS": "1", "SHARDS": "16", "FOLLOW_LIMIT": "1000000",
		"LEASE": "3s", "SESSION_TIMEOUT": "1d", "DELIVERY_WINDOW": "30d", "DELIVERY_TIMEOUT": "1s",
		"DELIVERY_CONCURRENCY": "1000", "REDELIVERY_WINDOW": "0", "LOG_LEVEL": "warn", "API_RATE": "0", "MAX_SESSIONS": "10000000", "LOG_FORMAT": "text",
		"SHUTDOWN_TIMEOUT": "17s", "API_KEYS": "sha256:" + strings.Repeat("ab", 32),
		"TASK_KEYS": "task_" + encoded(32, 8) + ", task_" + encoded(32, 9), "CALLBACK_HOSTS": "hooks.example.com, *.shop.example,192.0.2.7,::1",
	}
	setRequired(t)
	t.Setenv("MONITOR_PASSWORD", "without it MONITOR_WRITE is a fault")
	base := mustLoadServe(t)
	for field := range reflect.TypeFor[environment]().Fields() {
		name := field.Tag.Get("envconfig")
		if name == "ACCOUNTS" { // see TestAccounts_HaveVariablesOfTheirOwn
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, good[name])
			got := mustLoadServe(t)
			ofAccount := field.Tag.Get("of") == "account"
			changed := map[string]bool{field.Name: true, "Pace": name == "POLL_PACE", "Accounts": ofAccount}
			mustDiffer(t, base, got, changed)
			if ofAccount {
				mustDiffer(t, base.Accounts[0], got.Accounts[0], map[string]bool{field.Name: true})
			}
		})
	}
}

// mustDiffer fails the test unless two structs differ in the fields that changed.
func mustDiffer(t *testing.T, a, b any, changed map[string]bool) {
	t.Helper()
	for field, value := range reflect.ValueOf(b).Fields() {
		if !field.IsExported() {
			continue
		}
		same := reflect.DeepEqual(value.Interface(), reflect.ValueOf(a).FieldByName(field.Name).Interface())
		if same == changed[field.Name] {
			t.Errorf("%T.%s: changed is %t, want %t", a, field.Name, !same, changed[field.Name])
		}
	}
}

func TestLoadServe_Values(t *testing.T) {
	setRequired(t)
	t.Setenv("MARKSIGN_URL", "http://localhost:8090/base/")
	t.Setenv("CALLBACK_ALLOW_NETWORKS", "10.0.0.0/8, 192.0.2.7,2001:db8::1,")
	t.Setenv("POLL_PACE", " 500ms, 1m:10s ")
	t.Setenv("SESSION_TIMEOUT", "1d")
	t.Setenv("REDELIVERY_WINDOW", "1d12h")
	t.Setenv("OUTCOME_KEYS", strings.TrimRight(encoded(32, 6), "=")+"\n"+encoded(32, 7)+"\n")
	cfg := mustLoadServe(t)
	for _, check := range []struct{ got, want any }{
		{cfg.Accounts[0].MarkSignURL, "http://localhost:8090/base"},
		{cfg.CallbackAllowNetworks, []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::1/128"),
		}},
		{cfg.PollPace, "500ms,1m:10s"},
		{cfg.Pace, []PaceStep{{0, 500 * time.Millisecond}, {time.Minute, 10 * time.Second}}},
		{cfg.SessionTimeout, 24 * time.Hour},
		{cfg.RedeliveryWindow, 36 * time.Hour},
		{cfg.OutcomeKeys.Reveal(), [][]byte{bytes.Repeat([]byte{6}, 32), bytes.Repeat([]byte{7}, 32)}},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("got %v, want %v", check.got, check.want)
		}
	}
}

func TestLoadServe_SigningKeyAloneIsEnough(t *testing.T) {
	setRequired(t)
	t.Setenv("WEBHOOK_SECRETS", "")
	t.Setenv("WEBHOOK_SIGNING_KEY", "whsk_"+encoded(32, 9))
	cfg := mustLoadServe(t)
	if secrets := cfg.Accounts[0].WebhookSecrets.Reveal(); len(secrets) != 0 {
		t.Errorf("got %d webhook secrets, want none", len(secrets))
	}
	if got, want := cfg.Accounts[0].WebhookSigningKey.Reveal(), "whsk_"+encoded(32, 9); got != want {
		t.Errorf("got signing key %q, want %q", got, want)
	}
}

func TestLoadServe_FaultsOfVariablesTogether(t *testing.T) {
	tests := map[string]struct {
		env  map[string]string
		want string // the one fault; "" is none
	}{
		"shutdown too short": {
			map[string]string{"DELIVERY_TIMEOUT": "29s"},
			"SHUTDOWN_TIMEOUT: is 30s, too short for a delivery in flight to finish: " +
				"write at least 31s (DELIVERY_TIMEOUT and 2s), or shorten DELIVERY_TIMEOUT",
		},
		"shutdown just long enough": {map[string]string{"DELIVERY_TIMEOUT": "28s"}, ""},
		"no word on a wrong delivery timeout's shutdown": {
			map[string]string{"DELIVERY_TIMEOUT": "1h"},
			`DELIVERY_TIMEOUT: is "1h", out of range: write 1s to 2m`,
		},
		"plain http to MarkSign": {
			map[string]string{"MARKSIGN_URL": "http://api.marksign.eu"},
			"MARKSIGN_URL: is plain http, which would send the access token and identities in the clear: write an https URL, or set MARKSIGN_ALLOW_HTTP=true",
		},
		"plain http to MarkSign in capitals": {
			map[string]string{"MARKSIGN_URL": "HTTP://10.0.0.7:8090/base"},
			"MARKSIGN_URL: is plain http, which would send the access token and identities in the clear: write an https URL, or set MARKSIGN_ALLOW_HTTP=true",
		},
		"plain http to a name like this machine's": {
			map[string]string{"MARKSIGN_URL": "http://localhost.example"},
			"MARKSIGN_URL: is plain http, which would send the access token and identities in the clear: write an https URL, or set MARKSIGN_ALLOW_HTTP=true",
		},
		"plain http to MarkSign, allowed": {
			map[string]string{"MARKSIGN_URL": "http://simulator:8090", "MARKSIGN_ALLOW_HTTP": "true"}, "",
		},
		"plain http to this machine":            {map[string]string{"MARKSIGN_URL": "http://127.0.0.1:8090"}, ""},
		"plain http to this machine over IPv6":  {map[string]string{"MARKSIGN_URL": "http://[::1]:8090"}, ""},
		"plain http to this machine by name":    {map[string]string{"MARKSIGN_URL": "http://LOCALHOST:8090"}, ""},
		"plain http to this machine's subnames": {map[string]string{"MARKSIGN_URL": "http://marksign.localhost:8090"}, ""},
		"no word on plain http to MarkSign if leave is misspelt": {
			map[string]string{"MARKSIGN_URL": "http://simulator:8090", "MARKSIGN_ALLOW_HTTP": "yes"},
			`MARKSIGN_ALLOW_HTTP: is "yes", neither true nor false: write one of the two`,
		},
		"plain http callback": {
			map[string]string{"CALLBACK_URL": "http://receiver:8091/"},
			"CALLBACK_URL: is plain http: write an https URL, or set CALLBACK_ALLOW_HTTP=true",
		},
		"plain http callback in capitals": {
			map[string]string{"CALLBACK_URL": "HTTP://receiver:8091/"},
			"CALLBACK_URL: is plain http: write an https URL, or set CALLBACK_ALLOW_HTTP=true",
		},
		"plain http callback, allowed": {
			map[string]string{"CALLBACK_URL": "http://receiver:8091/", "CALLBACK_ALLOW_HTTP": "true"}, "",
		},
		"no word on plain http where leave is misspelt": {
			map[string]string{"CALLBACK_URL": "http://receiver:8091/", "CALLBACK_ALLOW_HTTP": "yes"},
			`CALLBACK_ALLOW_HTTP: is "yes", neither true nor false: write one of the two`,
		},
		"a monitor that may change what nobody may see": {
			map[string]string{"MONITOR_WRITE": "true"},
			"MONITOR_WRITE: is true, and without a password there is no /monitor: set MONITOR_PASSWORD, or take MONITOR_WRITE away",
		},
		"a monitor with a password of 12 characters": {
			map[string]string{"MONITOR_WRITE": "true", "MONITOR_PASSWORD": "ąčęėįšųūž123"}, "",
		},
		"no word on writing where the password is wrong": {
			map[string]string{"MONITOR_WRITE": "true", "MONITOR_PASSWORD": "short"},
			"MONITOR_PASSWORD: is too short: write 12 characters or more, for example from `identwatch secret monitor`",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			setRequired(t)
			for variable, value := range test.env {
				t.Setenv(variable, value)
			}
			got := ""
			if _, err := LoadServe(Checks{}); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestLoadEnqueue_NeedsRedisAlone(t *testing.T) {
	clearVariables(t)
	t.Setenv("LEASE", "wrong")
	if _, err := LoadEnqueue(); len(faultsOf(t, err)) != 1 || faultsOf(t, err)["REDIS_URL"] == "" {
		t.Errorf("got %v, want REDIS_URL alone", err)
	}
	t.Setenv("REDIS_URL", "redis://localhost:6379")
	cfg, err := LoadEnqueue()
	if err != nil || cfg.RedisURL.Reveal() != "redis://localhost:6379" {
		t.Errorf("got %q, %v", cfg.RedisURL.Reveal(), err)
	}
}

func TestLoadHealth_NeedsNothing(t *testing.T) {
	clearVariables(t)
	t.Setenv("REDIS_URL_FILE", "/no/such/file") // which it does not open
	cfg, err := LoadHealth()
	if err != nil || cfg.Listen != ":8080" {
		t.Errorf("got %q, %v, want the default", cfg.Listen, err)
	}
	t.Setenv("LISTEN", "8080")
	if _, err := LoadHealth(); faultsOf(t, err)["LISTEN"] == "" {
		t.Errorf("got %v, want a fault of LISTEN", err)
	}
}
