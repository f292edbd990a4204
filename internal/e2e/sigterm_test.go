package e2e

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

func TestServe_SigtermHandsOver(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	w.receiver.script = slowly(dice)
	a := w.serve()
	b := w.serve()
	all := w.begin("session", 200, confirms(time.Second, 12*time.Second))
	w.enqueue(all)
	pass(2*time.Second + time.Duration(dice.Int64N(int64(4*time.Second))))
	eventually(t, time.Minute, "the process is posting", func() bool { return w.receiver.underWay(a.name) > 0 })

	noise := b.measureNoise()
	stopped := time.Now()
	a.terminate()
	if code := a.awaitExit(35 * time.Second); code != 0 {
		t.Errorf("the process stopped with exit code %d, want 0", code)
	}
	t.Logf("stopped in %v", time.Since(stopped))

	w.awaitRemoved(all, time.Minute)
	machine := noise()
	machine.log(t, "probes of the other process, of Redis and of the test meanwhile")
	w.awaitQuiet(time.Minute)
	w.check(all, nil) // a stop explains no duplicate
	w.checkHandOver(a.name, all, stopped, slack+10*machine.quantile(0.99))
}

// checkHandOver holds the sessions that a process polled until it was stopped
// against the promise that another has them within two seconds.
func (w *world) checkHandOver(from string, all []string, stopped time.Time, slack time.Duration) {
	w.t.Helper()
	var gaps distribution
	for _, token := range all {
		var last, next time.Time
		for _, c := range w.calls.of(token) {
			switch {
			case c.removal:
			case c.by == from:
				last = c.at
			case !last.IsZero() && next.IsZero():
				next = c.at
			}
		}
		final := w.story(token).at.FinalSeenAt
		if last.IsZero() || next.IsZero() || final.Before(stopped) {
			continue // it was not handed over while it waited
		}
		gap := next.Sub(last)
		gaps = append(gaps, gap)
		if most := pace + jitter + 2*time.Second + slack; gap > most {
			w.t.Errorf("%s was not polled for %v, want %v at most", token, gap, most)
		}
	}
	gaps.log(w.t, "between the last poll of the one and the first of the other")
	if len(gaps) == 0 {
		w.t.Error("no waiting session was handed over, so the test shows nothing")
	}
}

func TestServe_SigtermHandsTenThousandOver(t *testing.T) {
	heavy(t)
	w := newWorld(t)
	markSign := w.simulate(10_000, "10m,20m")
	// Ten minutes after their start sessions are polled each five seconds, which
	// leaves the machine to the hand-over.
	old := "--started-at=" + time.Now().Add(-10*time.Minute).Format(time.RFC3339)
	a := w.serve(markSign.setting)
	begun := time.Now()
	w.enqueue(markSign.tokens, old)
	t.Logf("enqueued %d sessions in %v", len(markSign.tokens), time.Since(begun))
	w.awaitHeld(markSign.tokens, a, time.Minute)
	intake := time.Since(begun)
	b := w.serve(markSign.setting)

	stopped := time.Now()
	a.terminate()
	if code := a.awaitExit(35 * time.Second); code != 0 {
		t.Errorf("the process stopped with exit code %d, want 0", code)
	}
	handed := time.Since(stopped)
	left := w.leftBehind(b, markSign.tokens)
	w.awaitHeld(markSign.tokens, b, time.Minute)
	took := time.Since(stopped)
	t.Logf("the process handed its sessions over within %v, and the other had taken them all after %v; to take them in at first took %v",
		handed, took, intake)
	if left > 0 {
		t.Errorf("%d sessions were left to wait for their leases to end", left)
	}
	if most := intake + 2*time.Second; handed > most { // less work than that was, on the same machine
		t.Errorf("the process needed %v to hand its sessions over, want %v at most", handed, most)
	}
	if most := 2*intake + 2*time.Second; took > most { // the same work, on the same machine
		t.Errorf("the other process needed %v to take them, want %v at most", took, most)
	}
	if w.receiver.posts() > 0 {
		t.Error("sessions that wait were posted")
	}
}

// leftBehind counts the sessions that wait in the retry set though the process
// does not follow them. It reads the set first, for whoever takes a session notes
// that before its task goes there.
func (w *world) leftBehind(p *process, tokens []string) int {
	w.t.Helper()
	waiting, err := w.tasks.ListRetryTasks(queue.Follow, asynq.PageSize(len(tokens)))
	if err != nil {
		w.t.Fatal(err)
	}
	others := w.heldByOthers(p, tokens)
	left := 0
	for _, task := range waiting {
		if others[task.ID] {
			left++
		}
	}
	return left
}

// awaitHeld waits until the process follows all sessions, by their records.
func (w *world) awaitHeld(tokens []string, p *process, within time.Duration) {
	w.t.Helper()
	eventually(w.t, within, p.name+" follows all sessions", func() bool {
		pass(200 * time.Millisecond) // asking is work for Redis, which is what is measured
		return len(w.heldByOthers(p, tokens)) == 0
	})
}

// heldByOthers are the task ids of sessions that the process does not follow.
func (w *world) heldByOthers(p *process, tokens []string) map[string]bool {
	w.t.Helper()
	ids := make([]string, len(tokens))
	for i, token := range tokens {
		ids[i] = "default:" + token
	}
	others, err := outcome.NewStore(outcome.Config{Redis: w.rdb}).HeldByOthers(w.ctx, ids, p.holder())
	if err != nil {
		w.t.Fatal(err)
	}
	return others
}
