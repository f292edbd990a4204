package worker

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/hosts"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
)

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
		if posts > 40 {
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
				result.LastError != "HTTP 503" && result.LastError != hosts.CircuitOpen.String() { // of those that were never posted
				t.Errorf("%s: %+v", token, result)
			}
			if r := w.record(token); r.Ended.Sub(r.Final) > 2*time.Minute+5*time.Second {
				t.Errorf("%s was given up after %v", token, r.Ended.Sub(r.Final))
			}
		}
		w.await("the removals", time.Minute, func() bool { return w.seen("a0").Removes == 1 })
	})
}
