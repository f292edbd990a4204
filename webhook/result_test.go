package webhook

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestAnswered_EveryStatusHasOneVerdict(t *testing.T) {
	t.Parallel()
	redirects := map[int]bool{301: true, 302: true, 303: true, 307: true, 308: true}
	for status := range 1000 {
		want := Result{Verdict: NotDelivered, Status: status, RetryAfter: 7 * time.Second, Detail: "HTTP " + strconv.Itoa(status)}
		switch {
		case status/100 == 2:
			want.Verdict, want.RetryAfter = Delivered, 0
		case status == 410:
			want.Verdict = Gone
		case redirects[status]:
			want.Detail = "redirect not followed (HTTP " + strconv.Itoa(status) + ")"
		}
		got := answered(&http.Response{StatusCode: status, Header: http.Header{"Retry-After": {"7"}}})
		if got != want {
			t.Errorf("status %d: %+v, want %+v", status, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 20, 51, 3, 500_000_000, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                                 0,
		"0":                                0,
		"1":                                time.Second,
		"120":                              2 * time.Minute,
		"007":                              7 * time.Second,
		"86400":                            24 * time.Hour,
		"86401":                            24 * time.Hour,
		"9223372036854775807":              24 * time.Hour,
		"18446744073709551616":             24 * time.Hour,
		"99999999999999999999999999":       24 * time.Hour,
		"20000000000000000000A":            0, // out of range before the letter
		"-1":                               0,
		"+1":                               0,
		"1.5":                              0,
		"1e3":                              0,
		"0x10":                             0,
		"1_000":                            0,
		" 1":                               0,
		"1 ":                               0,
		"1, 2":                             0,
		"soon":                             0,
		"Sat, 21 Nov 2026 20:51:33 GMT":    29500 * time.Millisecond,
		"Sat, 21 Nov 2026 20:51:03 GMT":    0,
		"Wed, 21 Oct 2015 07:28:00 GMT":    0,
		"Sat, 21 Nov 2099 20:51:33 GMT":    24 * time.Hour,
		"Saturday, 21-Nov-26 20:52:03 GMT": 59500 * time.Millisecond,
		"Sat Nov 21 20:52:03 2026":         59500 * time.Millisecond,
		"Sat, 21 Nov 2026 20:51:33 EET":    0,
		"2026-11-21T20:51:33Z":             0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestVerdict_String(t *testing.T) {
	t.Parallel()
	for v, want := range map[Verdict]string{Delivered: "delivered", Gone: "gone", NotDelivered: "failed", Verdict(99): "failed"} {
		if got := v.String(); got != want {
			t.Errorf("%d: %q, want %q", v, got, want)
		}
	}
	if (Result{}).Verdict != NotDelivered {
		t.Error("the zero Result says delivered")
	}
}
