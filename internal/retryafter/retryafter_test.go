package retryafter

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// now lies between two whole seconds, as clocks do.
var now = time.Date(2026, 11, 21, 20, 51, 3, 500_000_000, time.UTC)

func TestParse_ReadsSecondsAndDatesWithinTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 24 * time.Hour
	for value, want := range map[string]time.Duration{
		"":                                 0,
		"0":                                0,
		"1":                                time.Second,
		"120":                              2 * time.Minute,
		" 120\t":                           2 * time.Minute,
		"007":                              7 * time.Second,
		"86399":                            limit - time.Second,
		"86400":                            limit,
		"86401":                            limit,
		"9223372036":                       limit,
		"9223372037":                       limit, // seconds that are too long for a duration
		"9223372036854775808":              limit,
		"18446744073709551615":             limit,
		"18446744073709551616":             limit, // too large for 64 bits
		strings.Repeat("9", 100_000):       limit,
		strings.Repeat("0", 100_000) + "7": 7 * time.Second,
		"20000000000000000000A":            0, // out of range before the letter
		"-1":                               0,
		"+1":                               0,
		"1.5":                              0,
		"1e3":                              0,
		"0x10":                             0,
		"1_000":                            0,
		"1 2":                              0,
		"1, 2":                             0,
		"1\x00":                            0,
		"1\n":                              0,
		"\u00a01":                          0, // white space that is none in a header
		"٣":                                0,
		"soon":                             0,
		"\xff\xfe":                         0,
		"Sat, 21 Nov 2026 20:51:33 GMT":    29500 * time.Millisecond,
		"Sat, 21 Nov 2026 20:51:03 GMT":    0,
		"Wed, 21 Oct 2015 07:28:00 GMT":    0,
		"Mon, 01 Jan 0001 00:00:00 GMT":    0,
		"Fri, 31 Dec 9999 23:59:59 GMT":    limit,
		"Sun, 31 Feb 2027 00:00:00 GMT":    0,
		"Saturday, 21-Nov-26 20:52:03 GMT": 59500 * time.Millisecond,
		"Sat Nov 21 20:52:03 2026":         59500 * time.Millisecond,
		"2026-11-21T20:52:03Z":             0,
	} {
		if got := Parse(value, now, limit); got != want {
			t.Errorf("%.40q: %v, want %v", value, got, want)
		}
	}
}

func TestParse_HasTheCallersLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []time.Duration{0, 1500 * time.Millisecond, time.Hour, math.MaxInt64} {
		for _, value := range []string{"18446744073709551615", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"} {
			if got := Parse(value, now, limit); got != limit {
				t.Errorf("%q within %v: %v", value, limit, got)
			}
		}
	}
	if got := Parse("1", now, 1500*time.Millisecond); got != time.Second {
		t.Errorf("a pause below the limit: %v", got)
	}
	if got := Parse("1", now, time.Millisecond); got != time.Millisecond {
		t.Errorf("a limit below a second: %v", got)
	}
}

func TestFormat_RoundsUpToAtLeastASecond(t *testing.T) {
	t.Parallel()
	for pause, want := range map[time.Duration]string{
		math.MinInt64: "1", -time.Second: "1", 0: "1", 1: "1", time.Second: "1", time.Second + 1: "2", 2 * time.Second: "2",
		90 * time.Second: "90", time.Hour - 1: "3600", math.MaxInt64: "9223372037",
	} {
		if got := Format(pause); got != want {
			t.Errorf("%v: %s, want %s", pause, got, want)
		}
	}
}

// FuzzParse: the pause is what was asked for, never negative and never longer than the limit.
func FuzzParse(f *testing.F) {
	for _, value := range []string{
		"", "0", "7", "120", "-1", "+1", "1.5", "1e3", "86400", "86401", "99999999999999999999", " 5 ", "Sat, 21 Nov 2026 20:51:33 GMT",
		"Sat, 31 Feb 9999 99:99:99 GMT",
	} {
		f.Add(value, uint32(3600))
	}
	f.Fuzz(func(t *testing.T, value string, seconds uint32) {
		limit, want := time.Duration(seconds)*time.Second, time.Duration(0)
		trimmed := strings.Trim(value, " \t")
		if trimmed != "" && strings.Trim(trimmed, "0123456789") == "" {
			want = limit
			if n, err := strconv.Atoi(trimmed); err == nil && n < int(seconds) {
				want = time.Duration(n) * time.Second
			}
		} else if at, err := http.ParseTime(trimmed); err == nil && at.After(now) {
			want = min(at.Sub(now), limit)
		}
		got := Parse(value, now, limit)
		if got != want {
			t.Fatalf("%q within %v: %v, want %v", value, limit, got, want)
		}
		if back := Parse(Format(got), now, limit+time.Second); back < got || back > got+time.Second {
			t.Fatalf("%v was written as %s and read as %v", got, Format(got), back)
		}
	})
}
