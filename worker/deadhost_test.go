//go:build !race

// The race detector makes these lives of many steps and hours too long; .ci/run
// runs them without it.

package worker

import (
	"flag"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
)

var deadDeliveries = flag.Int("dead-deliveries", 150, "how many deliveries TestCircuit_ADeadHostComesBackAfterHours lets wait; 12000 takes long")

// A receiver is down for hours. Its deliveries wait, cost neither the host nor
// Redis much, and go out once within minutes of its return, while the events of
// others are not slowed.
func TestCircuit_ADeadHostComesBackAfterHours(t *testing.T) {
	inWorld(t, func(w *world) {
		var back atomic.Bool
		var attempts atomic.Int64
		w.receiver.answer = func(r *http.Request, _ int) (int, time.Duration, http.Header) {
			if r.URL.Host == "dead.example" && !back.Load() {
				attempts.Add(1)
				return 502, 0, nil
			}
			return 204, 0, nil
		}
		p := w.start()
		for i := range *deadDeliveries {
			w.session(fmt.Sprint("dead", i), confirming(0), func(s *tasks.Session) { s.CallbackURL = "https://dead.example/hook" })
		}
		const hours = 2
		for i := range hours * 3 {
			time.Sleep(30 * time.Second)
			token := fmt.Sprint("alive", i)
			w.session(token, confirming(0))
			w.await("the post of "+token, 30*time.Second, func() bool { return len(w.receiver.of(token)) > 0 })
			if late := w.receiver.of(token)[0].begun.Sub(w.seen(token).FinalSeenAt); late > 50*time.Millisecond {
				t.Errorf("%s: posted %v after the final answer", token, late)
			}
			if i == hours*3-1 {
				break
			}
			p.stop() // the rest of twenty minutes goes by without a worker, for speed
			time.Sleep(19 * time.Minute)
			p = w.start()
		}
		if n := attempts.Load(); n > int64(hours*3*40) {
			t.Errorf("%d attempts at a host that was down for %d hours", n, hours)
		}
		back.Store(true)
		returned := time.Now()
		for i := range *deadDeliveries {
			token := fmt.Sprint("dead", i)
			w.await("the delivery of "+token, 6*time.Hour, func() bool { return w.record(token).State == outcome.Delivered })
			w.checkOneStory(token)
		}
		if late := time.Since(returned); late > time.Minute {
			t.Errorf("the last of them went out %v after the host's return", late)
		}
		t.Logf("%d deliveries, %d attempts while the host was down, all out %v after its return", *deadDeliveries, attempts.Load(), time.Since(returned))
	})
}
