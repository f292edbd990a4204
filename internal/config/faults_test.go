package config

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// badValues has for each variable what it must not take, and what the report
// says of it.
var badValues = map[string][]struct{ value, want string }{
	"REDIS_URL": {
		{"localhost:6379", "not a Redis URL"},
		{"http://localhost", "not a Redis URL"},
		{"redis:host", "not a Redis URL"},
		{"redis://host :1", "white space"},
		{"redis://host/0\n", "white space"},
	},
	"ACCOUNTS": {
		{"shop,Crm", "wrong at item 2: the name may hold a–z"},
		{"1shop", "begins with a letter"},
		{"shop,crm,shop", "name each account once"},
		{"a-b,a_b", "would read the same variables"},
		{",", "nothing but separators"},
	},
	"API_KEYS": {
		{"iwk_key", "wrong at item 1: it must be sha256:"},
		{"sha256:abc", "64 hexadecimal digits"},
		{"sha256:" + strings.Repeat("ab", 31), "64 hexadecimal digits"},
		{"sha256:" + strings.Repeat("ab", 32) + ",sha256:" + strings.Repeat("AB", 32), "item 2: it is the same as item 1"},
	},
	"MARKSIGN_URL": {
		{"api.marksign.eu", "not an absolute URL"},
		{"ftp://api.marksign.eu", "not an absolute URL"},
		{"https://", "not an absolute URL"},
		{"https://:443", "not an absolute URL"},
		{"https://host:0", "wrong port"},
		{"https://host:65536", "wrong port"},
		{"https://host:", "wrong port"},
		{"https://user@host", "without user and query"},
		{"https://host?a=b", "without user and query"},
		{"https://host?", "without user and query"},
		{"https://host#f", "fragment"},
		{"https://host/#", "fragment"},
	},
	"MARKSIGN_ACCESS_TOKEN": {
		{"two words", "white space"},
		{" leading", "white space"},
		{"new\nline", "white space"},
		{"bell\a", "control characters"},
		{"\xff", "no access token"},
	},
	"MARKSIGN_LOCALE": {{"fr", `"fr", not a choice: write lt or en`}},
	"CALLBACK_URL": {
		{"example.com/hook", "not an absolute URL"},
		{"mailto:a@example.com", "not an absolute URL"},
		{"https://user:password@example.com", "with a user in it"},
		{"https://example.com/#f", "fragment"},
		{"https://example.com:99999/", "not an absolute URL|wrong port"},
	},
	"MARKSIGN_ALLOW_HTTP": {{"yes", "neither true nor false"}, {"2", "neither true nor false"}},
	"CALLBACK_ALLOW_HTTP": {{"yes", "neither true nor false"}, {"2", "neither true nor false"}},
	"CALLBACK_ALLOW_NETWORKS": {
		{"10.0.0.0/33", "wrong at item 1: not a network"},
		{"example.com", "not a network"},
		{"10.0.0.0/8,10.1", "wrong at item 2: not a network"},
		{"10.0.0.1/8", "write 10.0.0.0/8"},
		{"fe80::1%eth0", "not a network"},
		{"::ffff:10.0.0.0/104", "IPv4 network in IPv6 form"},
		{"::ffff:10.0.0.1", "IPv4 network in IPv6 form"},
		{",", "nothing but separators"},
	},
	"WEBHOOK_SECRETS": {
		{"whsec_", "wrong at item 1"},
		{"not base64", "wrong at item 1"},
		{encoded(23, 1), "24 to 64 bytes"},
		{encoded(65, 1), "24 to 64 bytes"},
		{strings.TrimRight(encoded(32, 1), "="), "wrong at item 1"},
		{"whsk_" + encoded(32, 1), "wrong at item 1"},
		{encoded(32, 1) + ",x,whsec_" + encoded(32, 2) + ",y", "wrong at item 2: it must be base64 of 24 to 64 bytes, " +
			"with whsec_ in front or without; wrong at item 4"},
		{" , ", "nothing but separators"},
	},
	"WEBHOOK_SIGNING_KEY": {
		{encoded(32, 1), "no signing key"},
		{"whsk_", "no signing key"},
		{"whsec_" + encoded(32, 1), "no signing key"},
		{"whsk_" + encoded(33, 1), "no signing key"},
		{"whsk_***", "no signing key"},
	},
	"CALLBACK_HOSTS": {
		{"https://example.com", "wrong at item 1: it must be a host"},
		{"example.com:443", "without scheme, port and path"},
		{"example.com, example.com/a", "wrong at item 2"},
		{"a.*.example.com", "wrong at item 1"},
		{"*", "wrong at item 1"},
		{"*.", "wrong at item 1"},
		{"a b.example", "wrong at item 1"},
		{",", "nothing but separators"},
	},
	"TASK_KEYS": {
		{encoded(32, 1), "wrong at item 1: it must be task_ and base64 of 32 random bytes"},
		{"task_" + encoded(31, 1), "wrong at item 1"},
		{"task_" + encoded(32, 0), "wrong at item 1"},
		{"task_" + encoded(32, 1) + ",task_" + encoded(32, 2) + ",task_" + encoded(32, 1), "item 3: it is the same key as item 1"},
		{",", "nothing but separators"},
	},
	"OUTCOME_KEYS": {
		{"key", "wrong at item 1: it must be base64 of 32 bytes"},
		{encoded(31, 1), "base64 of 32 bytes"},
		{encoded(33, 1), "base64 of 32 bytes"},
		{encoded(32, 1) + "=", "base64 of 32 bytes"},
		{encoded(32, 0), "all zero"},
		{encoded(32, 1) + "," + encoded(32, 2) + "," + strings.TrimRight(encoded(32, 1), "="), "item 3: it is the same key as item 1"},
		{",", "nothing but separators"},
	},
	"LISTEN": {
		{"8080", "not an address"},
		{"http://localhost:8080", "not an address"},
		{"local host:80", "not an address"},
		{":", "wrong port"},
		{":http", "wrong port"},
		{":65536", "wrong port"},
		{":-1", "wrong port"},
	},
	"MONITOR_USER": {{"a:b", "without colons"}, {"bell\a", "control characters"}, {"\xff", "no name"}},
	"MONITOR_PASSWORD": {
		{"elevenchars", "too short: write 12 characters or more"},
		{"ąčęėįšųūž90", "too short"},
		{"twelve chars\nand a line", "control characters"},
		{"twelve chars\xff", "not UTF-8"},
	},
	"MONITOR_WRITE": {{"maybe", "neither true nor false"}, {"true", "without a password there is no /monitor"}},
	"POLL_PACE": {
		{"1", "wrong at item 1: the pause is not a duration"},
		{"0s:1s", "write a pause alone"},
		{"1s,2s", "wrong at item 2: write elapsed:pause"},
		{"1s,", "wrong at item 2"},
		{"1s,30s:99ms", "wrong at item 2: the pause is out of range"},
		{"61s", "100ms to 1m"},
		{"1s,0s:2s", "longer than that of the item before"},
		{"1s,30s:2s,30s:3s", "wrong at item 3: the elapsed time must be longer"},
		{"1s,soon:2s", "the elapsed time is not a duration"},
		{"1s,30s:2s:3s", "the pause is not a duration"},
	},
	"API_RATE": {
		{"fast", "not a rate"},
		{"-1", "not a rate"},
		{"NaN", "not a rate"},
		{"Inf", "out of range: write 0 to 100000"},
		{"100000.1", "out of range"},
	},
	"MAX_SESSIONS": {{"-1", "out of range: write 0 to 10000000"}, {"10000001", "out of range"}, {"many", "not a whole number"}},
	"POLL_RATE": {
		{"fast", "not a rate"},
		{"-1", "not a rate"},
		{"NaN", "not a rate"},
		{"Inf", "out of range: write 0 to 100000"},
		{"100000.1", "out of range"},
	},
	"SHARDS":               {{"0", "out of range: write 1 to 256"}, {"257", "out of range"}, {"many", "not a whole number"}},
	"POLL_WORKERS":         {{"0", "out of range: write 1 to 10000"}, {"10001", "out of range"}, {"1.5", "not a whole number"}},
	"FOLLOW_LIMIT":         {{"0", "out of range: write 1 to 1000000"}, {"1000001", "out of range"}, {"many", "not a whole number"}},
	"LEASE":                {{"2999ms", "out of range: write 3s to 5m"}, {"5m1s", "out of range"}, {"10", "not a duration"}, {"-10s", "negative"}},
	"SESSION_TIMEOUT":      {{"9s", "out of range: write 10s to 24h"}, {"25h", "out of range"}, {"d", "not a duration"}, {"-1d", "not a duration"}},
	"DELIVERY_WINDOW":      {{"59s", "out of range: write 1m to 30d"}, {"31d", "out of range"}, {"99999d", "not a duration"}},
	"DELIVERY_TIMEOUT":     {{"0", "out of range: write 1s to 2m"}, {"121s", "out of range"}, {"1.5.5s", "not a duration"}},
	"DELIVERY_CONCURRENCY": {{"0", "out of range: write 1 to 1000"}, {"1001", "out of range"}, {"0x10", "not a whole number"}},
	"REDELIVERY_WINDOW":    {{"-1s", "negative"}, {"91d", "out of range: write 0 to 90d"}, {"65535d2000000h", "too long"}},
	"LOG_LEVEL":            {{"verbose", `"verbose", not a choice: write debug, info, warn or error`}, {"INFO+1", "not a choice"}},
	"LOG_FORMAT":           {{"xml", "not a choice: write json or text"}},
	"SHUTDOWN_TIMEOUT":     {{"2s", "out of range: write 3s to 10m"}, {"11m", "out of range"}, {"soon", "not a duration"}},
}

func TestLoadServe_RefusesBadValues(t *testing.T) {
	for _, s := range Settings() {
		if len(badValues[s.Name]) == 0 {
			t.Errorf("no bad value of %s is tried", s.Name)
		}
		for _, bad := range badValues[s.Name] {
			t.Run(s.Name+"="+bad.value, func(t *testing.T) {
				setRequired(t)
				t.Setenv(s.Name, bad.value)
				_, err := LoadServe(Checks{})
				faults := faultsOf(t, err)
				problem := faults[s.Name]
				if !slices.ContainsFunc(strings.Split(bad.want, "|"), func(want string) bool {
					return strings.Contains(problem, want)
				}) {
					t.Errorf("got %q, want it to say %q", problem, bad.want)
				}
				if len(faults) != 1 {
					t.Errorf("got faults of other variables too:\n%v", err)
				}
			})
		}
	}
}

func TestLoadServe_ReportsAllFaultsAtOnce(t *testing.T) {
	clearVariables(t)
	all := maps.Clone(badValues)
	delete(all, "ACCOUNTS") // nobody knows then which variables are those of accounts
	for name, bad := range all {
		t.Setenv(name, bad[0].value)
	}
	_, err := LoadServe(Checks{})
	got := slices.Sorted(maps.Keys(faultsOf(t, err)))
	want := slices.Sorted(maps.Keys(all))
	if !slices.Equal(got, want) {
		t.Errorf("got faults of  %v\nwant them of %v", got, want)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if name, problem, found := strings.Cut(line, ": "); !found || badValues[name] == nil || problem == "" {
			t.Errorf("got line %q, want NAME: problem", line)
		}
	}
}

func TestLoadServe_QuotesAndBoundsWhatItShows(t *testing.T) {
	setRequired(t)
	for _, start := range []string{"\x1b[31m", "\x1b[31mx"} { // so that the bound is within a letter, and between two
		t.Setenv("LOG_LEVEL", start+strings.Repeat("ž", 5000))
		_, err := LoadServe(Checks{})
		problem := faultsOf(t, err)["LOG_LEVEL"]
		if !strings.HasPrefix(problem, `is "\x1b[31m`) || !strings.Contains(problem, `žž"..., not`) || len(problem) > 150 {
			t.Errorf("got %d bytes: %s", len(problem), problem)
		}
	}
}
