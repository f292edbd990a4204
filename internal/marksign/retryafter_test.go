package marksign

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

var someNoon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	tests := map[string]time.Duration{
		"":                                 0,
		"0":                                0,
		"1":                                time.Second,
		" 120 ":                            2 * time.Minute,
		"3600":                             time.Hour,
		"3601":                             time.Hour,
		"9223372037":                       time.Hour,
		"99999999999999999999999999999":    time.Hour,
		"-5":                               0,
		"+5":                               0,
		"1.5":                              0,
		"soon":                             0,
		"٣":                                0,
		"Sat, 21 Nov 2026 12:00:30 GMT":    30 * time.Second,
		"Sat, 21 Nov 2026 11:59:59 GMT":    0,
		"Sat, 21 Nov 2026 18:00:00 GMT":    time.Hour,
		"Fri, 31 Dec 9999 23:59:59 GMT":    time.Hour,
		"Mon, 01 Jan 0001 00:00:00 GMT":    0,
		"Saturday, 21-Nov-26 12:01:00 GMT": time.Minute,
		"Sat Nov 21 12:01:00 2026":         time.Minute,
	}
	for value, want := range tests {
		if got := retryAfter(value, someNoon); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "0", "7", "-1", "1e3", "99999999999999999999", "Sat, 21 Nov 2026 12:00:30 GMT"} {
		f.Add(value)
	}
	f.Add(someNoon.Add(time.Minute).Format(http.TimeFormat))
	f.Fuzz(func(t *testing.T, value string) {
		want := time.Duration(0)
		if seconds := strings.TrimSpace(value); seconds != "" && strings.Trim(seconds, "0123456789") == "" {
			want = time.Hour
			if n, err := strconv.Atoi(seconds); err == nil && n < 3600 {
				want = time.Duration(n) * time.Second
			}
		} else if at, err := http.ParseTime(seconds); err == nil && at.After(someNoon) {
			want = min(at.Sub(someNoon), time.Hour)
		}
		if got := retryAfter(value, someNoon); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	})
}
