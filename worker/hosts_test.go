package worker

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/event"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

func testHosts(limit int) *hosts { return newHosts(limit, slog.New(slog.DiscardHandler)) }

var (
	down     = webhook.Result{Detail: "connection refused"}
	accepted = webhook.Result{Verdict: webhook.Delivered, Status: 204}
)

// try posts once to a host, if it may.
func (h *hosts) try(name string, r webhook.Result) refusal {
	p, refused, _ := h.acquire(name)
	if refused == granted {
		p.report(r)
		p.release()
	}
	return refused
}

func TestHosts_BoundEachHostAlone(t *testing.T) {
	t.Parallel()
	h := testHosts(2)
	permits := make(map[string][]*permit)
	for _, host := range []string{"a", "b"} {
		for range 5 {
			if p, refused, _ := h.acquire(host); refused == granted {
				permits[host] = append(permits[host], p)
			}
		}
		if got := len(permits[host]); got != 2 {
			t.Errorf("%s has %d slots, want 2", host, got)
		}
	}
	permits["a"][0].release()
	if _, refused, _ := h.acquire("a"); refused != granted {
		t.Error("a slot that was given back is not free")
	}
	if _, refused, _ := h.acquire("b"); refused != hostBusy {
		t.Errorf("b is %v", refused)
	}
}

func TestHosts_OpenTheCircuitOfOneThatKeepsFailing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := testHosts(4)
		for range circuitFailures {
			if refused := h.try("a", down); refused != granted {
				t.Fatalf("refused: %v", refused)
			}
		}
		if refused := h.try("a", accepted); refused != circuitOpen {
			t.Fatalf("after %d failures: %v", circuitFailures, refused)
		}
		if refused := h.try("b", accepted); refused != granted {
			t.Errorf("another host is refused: %v", refused)
		}
		time.Sleep(circuitPause + time.Millisecond)
		probe, refused, _ := h.acquire("a")
		if refused != granted {
			t.Fatalf("no post may try whether the host is back: %v", refused)
		}
		if refused := h.try("a", accepted); refused != circuitOpen {
			t.Errorf("a second post goes out while one tries: %v", refused)
		}
		probe.release() // nothing was posted: another may try
		if refused := h.try("a", accepted); refused != granted {
			t.Errorf("a probe that posted nothing keeps the circuit open: %v", refused)
		}
		for range 10 {
			if refused := h.try("a", accepted); refused != granted {
				t.Errorf("the circuit is not closed after a 2xx: %v", refused)
			}
		}
	})
}

func TestHosts_CountAsFailureWhatTheHostItselfDoes(t *testing.T) {
	t.Parallel()
	for status, failed := range map[int]bool{0: true, 500: true, 503: true, 429: true, 404: false, 401: false, 302: false} {
		if got := hostFailed(webhook.Result{Status: status}); got != failed {
			t.Errorf("HTTP %d counts as a failure of the host: %v, want %v", status, got, failed)
		}
	}
	for _, verdict := range []webhook.Verdict{webhook.Delivered, webhook.Gone} {
		if hostFailed(webhook.Result{Verdict: verdict}) {
			t.Errorf("%v counts as a failure of the host", verdict)
		}
	}
}

func TestHosts_PauseLongerTheLongerAHostFailsAndTheMoreWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := testHosts(1)
		for range circuitFailures {
			h.try("a", down)
		}
		for after, want := range map[time.Duration]time.Duration{0: circuitPause, 20 * time.Minute: 5 * time.Minute, 3 * time.Hour: maxCircuitPause} {
			h.byName["a"].failing = time.Now().Add(-after)
			if _, _, pause := h.acquire("a"); pause < want || pause > want+want/10 {
				t.Errorf("after %v of failing the pause is %v, want %v", after, pause, want)
			}
		}
		var longest time.Duration
		for i := range 3000 {
			pause := h.busyPause("b")
			if i == 0 && pause > leastBusyPause+crowdShare {
				t.Errorf("the first pause for a busy host is %v", pause)
			}
			longest = max(longest, pause)
		}
		if longest < maxBusyPause/2 || longest > maxBusyPause {
			t.Errorf("with 3,000 waiting the longest pause is %v", longest)
		}
		time.Sleep(3 * crowdWindow)
		if pause := h.busyPause("b"); pause > leastBusyPause+crowdShare {
			t.Errorf("after a quiet time the pause is %v", pause)
		}
	})
}

func TestHosts_ForgetIdleOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := testHosts(1)
		busy, _, _ := h.acquire("busy")
		for i := range 1100 {
			h.try(fmt.Sprint("host", i), down)
		}
		time.Sleep(hostIdle + time.Second)
		for i := range 1200 {
			h.try(fmt.Sprint("other", i), down)
		}
		if n := len(h.byName); n > 1202 {
			t.Errorf("%d hosts are remembered", n)
		}
		if _, refused, _ := h.acquire("busy"); refused != hostBusy {
			t.Errorf("a host with a post under way was forgotten: %v", refused)
		}
		busy.release()
	})
}

// A host that is down uses up neither attempts nor slots, and another's events
// go out as ever.
func TestCircuit_DeliveriesWaitWithoutAttempts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.DeliveryConcurrency = 8 })
		back := false
		w.receiver.answer = func(r *http.Request, _ int) (int, time.Duration, http.Header) {
			if r.URL.Host == "dead.example" && !back {
				return 503, 10 * time.Second, nil
			}
			return 204, 0, nil
		}
		const dead, alive = 40, 20
		for i := range dead {
			w.session(fmt.Sprint("dead", i), confirming(0), func(s *tasks.Session) { s.CallbackURL = "https://dead.example/hook" })
		}
		for i := range alive {
			w.session(fmt.Sprint("alive", i), confirming(time.Duration(i)*4*time.Second))
		}
		for i := range alive {
			token := fmt.Sprint("alive", i)
			w.await("the post of "+token, 2*time.Minute, func() bool { return len(w.receiver.of(token)) > 0 })
			if late := w.receiver.of(token)[0].begun.Sub(w.seen(token).FinalSeenAt); late > 50*time.Millisecond {
				t.Errorf("%s: posted %v after the final answer", token, late)
			}
		}
		posts := 0
		for i := range dead {
			posts += len(w.receiver.of(fmt.Sprint("dead", i)))
		}
		if posts > 4*circuitFailures {
			t.Errorf("%d posts to the host that is down, of %d sessions", posts, dead)
		}
		if !strings.Contains(w.logs.String(), "a receiver's host keeps failing") {
			t.Error("nobody was told that the host keeps failing")
		}
		back = true
		for i := range dead {
			token := fmt.Sprint("dead", i)
			w.awaitTask(queue.Deliver, token, 10*time.Minute)
			if last := w.checkOneStory(token); last.status != 204 {
				t.Errorf("%s: %+v", token, last)
			}
		}
		if !strings.Contains(w.logs.String(), "a receiver's host is back") {
			t.Error("nobody was told that the host is back")
		}
	})
}

// The window ends for those too that wait for an open circuit.
func TestCircuit_TheWindowEndsWhileItIsOpen(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.DeliveryWindow = 2 * time.Minute; o.DeliveryConcurrency = 64 })
		w.receiver.answer = failing(1000, 503)
		const n = 12
		for i := range n {
			w.session(fmt.Sprint("a", i), confirming(0))
		}
		for i := range n {
			token := fmt.Sprint("a", i)
			if result := w.awaitTask(queue.Deliver, token, 10*time.Minute); result.Delivery != outcome.GivenUp ||
				result.LastError != "HTTP 503" && result.LastError != circuitOpen.String() { // of those that were never posted
				t.Errorf("%s: %+v", token, result)
			}
			if r := w.record(token); r.Ended.Sub(r.Final) > 2*time.Minute+5*time.Second {
				t.Errorf("%s was given up after %v", token, r.Ended.Sub(r.Final))
			}
		}
		w.await("the removals", time.Minute, func() bool { return w.seen("a0").Removes == 1 })
	})
}

// A host comes back between the moment in which its open circuit refuses a post and
// the one in which the event is handed over: the pause is that of the refusal.
func TestCircuit_ARefusalAsItClosesWaitsNoLonger(t *testing.T) {
	inWorld(t, func(w *world) {
		f := w.start().Worker
		account := f.accounts[tasks.DefaultAccount]
		job := session.Job{Token: "a", Method: session.SmartID, Account: session.DefaultAccount, Retention: time.Hour}
		s := &followed{Job: job, account: account, id: job.ID(), receiver: account.Receiver(job), claimant: "test"}
		result, err := event.Ending{Job: job, At: time.Now()}.Own(webhook.ReasonDeadline)
		if err != nil {
			t.Fatal(err)
		}
		s.result = &result
		for range circuitFailures {
			f.hosts.try(s.receiver, down)
		}
		time.Sleep(circuitPause + time.Millisecond)
		probe, refused, _ := f.hosts.acquire(s.receiver)
		if refused != granted {
			t.Fatalf("no post may try whether the host is back: %v", refused)
		}
		if s.refused = (posting{f, s}).permit(true); s.refused != circuitOpen {
			t.Fatalf("refused: %v", s.refused)
		}
		probe.report(accepted)
		probe.release()
		if n := f.handSealed(w.ctx, s); n.Step != nil {
			t.Fatalf("the next step is %v", n.Step)
		}
		task, err := w.tasks.GetTaskInfo(queue.Deliver, job.ID())
		if err != nil {
			t.Fatal(err)
		}
		if wait := time.Until(task.NextProcessAt); wait > circuitPause+circuitPause/10+time.Second {
			t.Errorf("the event is posted in %v", wait)
		}
	})
}

// So it is for a delivery that is refused then.
func TestHosts_SayWithARefusalHowLongToWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := testHosts(4)
		for range circuitFailures {
			h.try("a", down)
		}
		if _, refused, wait := h.acquire("a"); refused != circuitOpen || wait < circuitPause || wait > circuitPause+circuitPause/10 {
			t.Errorf("open: %v, for %v", refused, wait)
		}
		time.Sleep(circuitPause + time.Millisecond)
		probe, _, _ := h.acquire("a")
		_, refused, wait := h.acquire("a")
		probe.report(accepted)
		if refused != circuitOpen || wait < circuitPause || wait > circuitPause+circuitPause/10 {
			t.Errorf("while one tries: %v, for %v", refused, wait)
		}
	})
}
