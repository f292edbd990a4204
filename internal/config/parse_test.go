package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute,
		"3d": 72 * time.Hour, "1d12h": 36 * time.Hour, "1.5h": 90 * time.Minute,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestCheckRedisURL_TakesTheFourSchemes(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"redis://localhost", "redis://:p%40ss@localhost:6379/3", "rediss://[2001:db8::1]:6380",
		"redis-socket:///run/redis.sock?db=1", "redis-socket://:pass@/run/redis.sock",
		"redis-sentinel://:pass@a:26379,b:26379,c:26379?master=main", "redis-sentinel://user:pass@h1:26379,h2:26379/0?master=name",
	} {
		if got, err := checkRedisURL(url); err != nil || got != url {
			t.Errorf("%s: got %q, %v", url, got, err)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"0", "10s", "3d", "1d12h", "-1s", "65535d2562047h", "d", "1d-1h", "µs"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseDuration(text)
		if got < 0 || err != nil && got != 0 {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
		if want, goErr := time.ParseDuration(text); goErr == nil && want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: got %v, %v, want Go's %v", text, got, err, want)
		}
	})
}

func FuzzPace(f *testing.F) {
	for _, seed := range []string{"1s", "1s,30s:2s,60s:3s,2m:5s", "1s,1s", "1s,30s:2s,30s:3s", " 1s , 1d:1m ", ",", ":", "1s,:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pace, err := parsePace(text)
		if err != nil {
			if len(pace.steps) != 0 || pace.text != "" {
				t.Errorf("%q: refused, and still %v", text, pace)
			}
			return
		}
		if pace.steps[0].From != 0 {
			t.Errorf("%q: the first step is from %v", text, pace.steps[0].From)
		}
		for i, step := range pace.steps {
			if i > 0 && step.From <= pace.steps[i-1].From {
				t.Errorf("%q: step %d is not later than the one before", text, i)
			}
			if step.Every < 100*time.Millisecond || step.Every > time.Minute {
				t.Errorf("%q: step %d has the pause %v", text, i, step.Every)
			}
		}
		if again, err := parsePace(pace.text); err != nil || !reflect.DeepEqual(again, pace) {
			t.Errorf("%q: its text %q parses as %v, %v", text, pace.text, again, err)
		}
	})
}

func FuzzNetworks(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "192.0.2.1,fd00::/8\n::1", "10.0.0.1/8", "::ffff:1.2.3.4", "fe80::1%eth0", ",,", "1.2.3.4/0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		networks, err := parseNetworks(text)
		if err != nil {
			return
		}
		for _, network := range networks {
			if !network.IsValid() || network != network.Masked() || network.Addr().Is4In6() || network.Addr().Zone() != "" {
				t.Errorf("%q: took %v", text, network)
			}
		}
		printed := strings.ReplaceAll(strings.Trim(fmt.Sprint(networks), "[]"), " ", ",")
		if again, err := parseNetworks(printed); err != nil || !reflect.DeepEqual(again, networks) {
			t.Errorf("%q: %s parses as %v, %v", text, printed, again, err)
		}
	})
}
