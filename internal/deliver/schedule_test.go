package deliver

import (
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/webhook"
)

func TestSchedule_IsKeptAndJitterNeverGoesUnder(t *testing.T) {
	t.Parallel()
	for i, want := range append(schedule, lastPause, lastPause) {
		for range 100 {
			if pause := jitter(scheduledPause(i + 1)); pause < want || pause > want+want/10 {
				t.Fatalf("after attempt %d the pause is %v, the schedule says %v", i+1, pause, want)
			}
		}
	}
}

func TestScheduled_OurOwnFailuresUseUpNoneOfTheSchedule(t *testing.T) {
	t.Parallel()
	for attempt := 1; attempt < 20; attempt++ {
		if got := scheduledPause(scheduled(attempt, webhook.CauseHere)); got > 5*time.Second {
			t.Errorf("attempt %d that failed here: a pause of %v", attempt, got)
		}
		if got := scheduledPause(scheduled(attempt, webhook.CauseRules)); got > 2*time.Minute {
			t.Errorf("attempt %d that our rules refuse: a pause of %v", attempt, got)
		}
		if got := scheduled(attempt, webhook.CauseReceiver); got != attempt {
			t.Errorf("attempt %d that the receiver failed is taken for attempt %d", attempt, got)
		}
	}
}

func TestWordOf_CountsAsFailureWhatTheHostItselfDoes(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]hosts.Word{0: hosts.Down, 500: hosts.Down, 503: hosts.Down, 429: hosts.Down, 404: hosts.Well, 401: hosts.Well, 302: hosts.Well} {
		if got := wordOf(webhook.Result{Status: status}); got != want {
			t.Errorf("HTTP %d tells %v of the host, want %v", status, got, want)
		}
	}
	for _, verdict := range []webhook.Verdict{webhook.Delivered, webhook.Gone} {
		if got := wordOf(webhook.Result{Verdict: verdict}); got != hosts.Well {
			t.Errorf("%v tells %v of the host", verdict, got)
		}
	}
	for _, cause := range []webhook.Cause{webhook.CauseHere, webhook.CauseRules} {
		if got := wordOf(webhook.Result{Cause: cause}); got != hosts.Nothing {
			t.Errorf("a failure of ours tells %v of the host", got)
		}
	}
}
