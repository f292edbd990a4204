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

func TestAnswered_ReportsPausesOfADayAtMost(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{"86399": 24*time.Hour - time.Second, "86401": 24 * time.Hour, "": 0, "-1": 0} {
		resp := &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {value}}}
		if got := answered(resp).RetryAfter; got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
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
