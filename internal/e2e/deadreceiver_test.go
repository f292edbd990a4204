package e2e

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
)

var deadDeliveries = flag.Int("dead-deliveries", 0, "how many deliveries TestServe_ManyToADeadReceiver lets fail; 0 leaves it out")

// TestServe_ManyToADeadReceiver lets the deliveries to one host end with their
// window: with -dead-deliveries=12000 more than asynq's archive holds. The others
// must not notice, and afterwards `identwatch redeliver --all` delivers every one of them once.
func TestServe_ManyToADeadReceiver(t *testing.T) {
	heavy(t)
	n := *deadDeliveries
	if n == 0 {
		t.Skip("takes minutes: -dead-deliveries=12000 is for .ci/long")
	}
	w := newWorld(t)
	var back atomic.Bool
	healthy := listen(t, w.receiver.front("A"))
	recovering := w.receiver.front("A")
	var attempts atomic.Int64
	dead := listen(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !back.Load() {
			attempts.Add(1)
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		recovering.ServeHTTP(rw, r)
	}))
	markSign := w.simulate(n+300, "1s,60s")
	failing, others := markSign.tokens[:n], markSign.tokens[n:]
	p := w.serve(markSign.setting, "LOG_LEVEL=info", "DELIVERY_WINDOW=1m")
	w.enqueue(failing, "--callback="+dead+"/callback")
	w.enqueue(others, "--callback="+healthy+"/callback")
	noise := p.measureNoise()

	eventually(t, 4*time.Minute, "every delivery to the dead host is given up", func() bool { return w.givenUp() == n })
	machine := noise()
	w.awaitRemoved(failing, time.Minute)
	w.awaitQuiet(time.Minute) // nothing is archived
	t.Logf("%d posts reached the dead host", attempts.Load())
	var toWebhook distribution
	for _, token := range others {
		if s := w.story(token); len(s.posts) == 1 && !s.at.FinalSeenAt.IsZero() {
			toWebhook = append(toWebhook, s.posts[0].begun.Sub(s.at.FinalSeenAt))
		}
	}
	w.check(others, nil)
	toWebhook.log(t, "others: from the poll that saw the final answer to the webhook")
	machine.log(t, "probes meanwhile")
	if most := 50*time.Millisecond + 2*machine.quantile(0.99); toWebhook.quantile(0.99) > most {
		t.Errorf("the others' webhooks began %v (p99) after the final answer, want %v at most", toWebhook.quantile(0.99), most)
	}

	back.Store(true)
	begun := time.Now()
	w.redeliverAll(n)
	eventually(t, 2*time.Minute, "every event is delivered", func() bool { return w.receiver.posts() == n+len(others) && w.givenUp() == 0 })
	w.awaitQuiet(time.Minute)
	t.Logf("%d events delivered again in %v", n, time.Since(begun))
	w.check(failing, func(_ story, f fault) bool { return f == removedEarly }) // after giving up, and before the 2xx
}

// givenUp counts the deliveries that are given up and not made since.
func (w *world) givenUp() int {
	w.t.Helper()
	return int(w.rdb.ZCard(w.ctx, "identwatch:given-up").Val())
}

func (w *world) redeliverAll(n int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "redeliver", "--all")
	cmd.Env = []string{"REDIS_URL=" + w.url}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || said.String() != fmt.Sprintf("redelivering %d, refused 0\n", n) || strings.Count(string(out), "\n") != n+1 {
		w.t.Fatalf("identwatch redeliver: %v\n%s", err, said.String())
	}
	if archived, err := w.tasks.ListArchivedTasks(queue.Deliver, asynq.PageSize(10)); err != nil || len(archived) > 0 {
		w.t.Errorf("archived: %d, %v", len(archived), err)
	}
}
