package worker

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/webhook"
)

func TestHosts_ChargeNoHostForAFailureThatIsOurs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := testHosts(4)
		for _, cause := range []webhook.Cause{webhook.CauseHere, webhook.CauseRules} {
			for range 3 * circuitFailures {
				if refused := h.try("a", webhook.Result{Cause: cause, Detail: "ours"}); refused != granted {
					t.Fatalf("cause %d opened the circuit: %v", cause, refused)
				}
			}
		}
		for i := range circuitFailures { // ours in between do not make a failing host look well
			h.try("a", down)
			if i < circuitFailures-1 {
				h.try("a", webhook.Result{Cause: webhook.CauseHere, Detail: "ours"})
			}
		}
		if refused := h.try("a", accepted); refused != circuitOpen {
			t.Errorf("after %d failures of the host, and others between: %v", circuitFailures, refused)
		}
		time.Sleep(circuitPause + time.Millisecond)
		if refused := h.try("a", webhook.Result{Cause: webhook.CauseHere, Detail: "ours"}); refused != granted {
			t.Fatalf("no post may try whether the host is back: %v", refused)
		}
		if state := h.byName["a"].circuit.State(); state != gobreaker.StateHalfOpen {
			t.Errorf("a probe that failed here left the circuit %v, want half-open", state)
		}
	})
}

func TestScheduled_OurOwnFailuresUseUpNoneOfTheSchedule(t *testing.T) {
	t.Parallel()
	for attempt := 1; attempt < 20; attempt++ {
		if got := retryPause(scheduled(attempt, webhook.CauseHere), 0); got > 7*time.Second {
			t.Errorf("attempt %d that failed here: a pause of %v", attempt, got)
		}
		if got := retryPause(scheduled(attempt, webhook.CauseRules), 0); got > 2*time.Minute+14*time.Second {
			t.Errorf("attempt %d that our rules refuse: a pause of %v", attempt, got)
		}
		if got := scheduled(attempt, webhook.CauseReceiver); got != attempt {
			t.Errorf("attempt %d that the receiver failed is taken for attempt %d", attempt, got)
		}
	}
}

// The process has no descriptor left for a minute. The receiver is well, and has each event seconds after.
func TestDeliver_GoesOnAtOnceWhenDescriptorsAreFreeAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		ends := time.Now().Add(time.Minute)
		w.receiver.trouble = func(int64) error {
			if time.Now().After(ends) {
				return nil
			}
			return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		w.start()
		const sessions = 2 * circuitFailures
		for i := range sessions {
			w.session(fmt.Sprint("tok", i), confirming(0))
		}
		for i := range sessions {
			token := fmt.Sprint("tok", i)
			w.await("the delivery of "+token, 2*time.Minute, func() bool { return w.record(token).State == outcome.Delivered })
			if late := w.receiver.of(token)[0].begun.Sub(ends); late > 10*time.Second {
				t.Errorf("%s: posted %v after the descriptors were free", token, late)
			}
		}
		if logs := w.logs.String(); strings.Contains(logs, "keeps failing") || !strings.Contains(logs, "raise its limit") {
			t.Errorf("the log blames the host, or does not say what to do:\n%.2000s", logs)
		}
	})
}
