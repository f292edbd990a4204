package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/queue"
)

func TestOperator_SeesAndSteersInAsynqmon(t *testing.T) {
	t.Parallel()
	t.Run("waiting and completed tasks say what they are", func(t *testing.T) {
		t.Parallel()
		operatorSees(t)
	})
	t.Run("running tasks early, with one worker", func(t *testing.T) {
		t.Parallel()
		operatorRunsEarly(t, 1)
	})
	t.Run("running tasks early, with two workers", func(t *testing.T) {
		t.Parallel()
		operatorRunsEarly(t, 2)
	})
	t.Run("deleting a task", func(t *testing.T) {
		t.Parallel()
		operatorDeletes(t)
	})
	t.Run("pausing the queue", func(t *testing.T) {
		t.Parallel()
		operatorPauses(t)
	})
}

func operatorSees(t *testing.T) {
	t.Helper()
	w := newWorld(t)
	mon := w.monitor()
	w.serve()
	token := w.begin("seen", 1, waits())[0]
	w.enqueueHere(token)
	// With a third poll on its way two are answered. The last that is on its way when
	// the person confirms may already see it.
	eventually(t, time.Minute, "a session is polled", func() bool { return w.calls.polls("", token) >= 3 })
	waiting := mon.task(queue.Follow, token)
	if waiting.State != "retry" || !strings.Contains(waiting.Message, "until the person has confirmed or refused") {
		t.Errorf("a waiting task is shown as %+v, want one that says what is waited for", waiting)
	}
	list := string(mon.must("GET", "/queues/"+queue.Follow+"/retry_tasks"))
	if !strings.Contains(list, token) || !strings.Contains(list, waiting.Message) {
		t.Errorf("the list of retries does not show it: %s", list)
	}

	w.sim.Confirm(token)
	w.awaitRemoved([]string{token}, time.Minute)
	w.awaitQuiet(time.Minute)
	done := mon.task(queue.Follow, token)
	var result struct {
		Outcome, Delivery, Removal  string
		Polls, Attempts, Removals   int
		StartedAt, FinalAt, EndedAt time.Time
	}
	names := strings.NewReplacer("started_at", "startedat", "final_at", "finalat", "ended_at", "endedat")
	if err := json.Unmarshal([]byte(names.Replace(done.Result)), &result); err != nil {
		t.Fatalf("the result of a completed task is not JSON: %v: %s", err, done.Result)
	}
	if done.State != "completed" || result.Outcome != "identification.completed" || result.Delivery != "delivered" ||
		result.Removal != "removed" || result.Polls < 3 || result.Attempts != 1 || result.Removals != 1 {
		t.Errorf("the completed task is shown as %+v", done)
	}
	if result.FinalAt.Before(result.StartedAt) || result.EndedAt.Before(result.FinalAt) {
		t.Errorf("its times are in the wrong order: %s", done.Result)
	}
	w.check([]string{token}, nil)
}

// operatorRunsEarly runs every task again and again, from the first poll to the
// removal.
func operatorRunsEarly(t *testing.T, workers int) {
	t.Helper()
	w := newWorld(t)
	mon := w.monitor()
	for range workers {
		w.serve()
	}
	all := w.begin("early", 20, confirms(time.Second, 6*time.Second))
	w.enqueue(all)
	runs := 0
	eventually(t, time.Minute, "every session is removed", func() bool {
		left := 0
		for _, token := range all {
			if s, _ := w.sim.Session(token); s.RemovedAt.IsZero() {
				left++
				if mon.run(queue.Follow, token) {
					runs++
				}
			}
		}
		return left == 0
	})
	t.Logf("ran %d tasks early", runs)
	if runs < 2*len(all) {
		t.Errorf("only %d tasks were run early, so the test shows little", runs)
	}
	// Two workers may both be about to remove a session that changed hands between
	// the 2xx and the DELETE, and the second DELETE is refused.
	w.hurryRemovals()
	w.awaitQuiet(time.Minute)
	w.check(all, func(_ story, f fault) bool { return workers > 1 && f == removedMore })
	for _, token := range all {
		if n := len(w.receiver.of(token)); n != 1 {
			t.Errorf("%s was posted %d times, want once", token, n)
		}
	}
}

func operatorDeletes(t *testing.T) {
	t.Helper()
	w := newWorld(t)
	mon := w.monitor()
	p := w.serve()
	pair := w.begin("pair", 2, waits())
	deleted, other := pair[0], pair[1]
	w.enqueue(pair)
	eventually(t, time.Minute, "both are polled", func() bool {
		return w.calls.polls("", deleted) >= 2 && w.calls.polls("", other) >= 2
	})
	mon.must("DELETE", "/queues/"+queue.Follow+"/retry_tasks/default:"+deleted)
	at := time.Now()
	pass(lease/3 + slack)
	polls := w.calls.polls("", deleted)
	s, _ := w.sim.Session(deleted)
	t.Logf("polled last %v after its task was deleted", s.LastPollAt.Sub(at))
	pass(3 * pace)
	if more := w.calls.polls("", deleted) - polls; more > 0 {
		t.Errorf("it is polled on: %d times more than a third of a lease after", more)
	}
	if s, _ := w.sim.Session(other); time.Since(s.LastPollAt) > pace+jitter+slack {
		t.Errorf("the other session is not polled any more")
	}
	if s, _ := w.sim.Session(deleted); s.Removes > 0 || len(w.receiver.of(deleted)) > 0 {
		t.Errorf("the session was posted %d times and removed %d times, want neither", len(w.receiver.of(deleted)), s.Removes)
	}
	for _, e := range p.entries() {
		if e["level"] == "ERROR" {
			t.Errorf("deleting a task is an error in the log: %v", e)
		}
	}
	if n := w.rdb.Exists(w.ctx, "identwatch:default:"+deleted, "identwatch:default:"+deleted+":sealed").Val(); n != 0 {
		t.Error("its record is still there")
	}
	// It can be enqueued again, and then has its one story.
	w.enqueue([]string{deleted})
	w.sim.Confirm(deleted)
	w.sim.Confirm(other)
	w.awaitRemoved(pair, time.Minute)
	w.awaitQuiet(time.Minute)
	w.check(pair, nil)
}

func operatorPauses(t *testing.T) {
	t.Helper()
	w := newWorld(t)
	mon := w.monitor()
	const short = 3 * time.Second
	w.serve("LEASE=" + short.String())
	w.serve("LEASE=" + short.String())
	followed := w.begin("followed", 20, waits())
	w.enqueue(followed)
	polled := func(tokens []string, times int) bool {
		for _, token := range tokens {
			if w.calls.polls("", token) < times {
				return false
			}
		}
		return true
	}
	eventually(t, time.Minute, "the sessions are polled", func() bool { return polled(followed, 1) })

	mon.must("POST", "/queues/"+queue.Follow+":pause")
	fresh := w.begin("fresh", 5, waits())
	w.enqueue(fresh)
	pass(2*short + time.Second) // longer than any lease
	for _, token := range followed {
		s, _ := w.sim.Session(token)
		if gap := max(s.MaxPollGap, time.Since(s.LastPollAt)); gap > pace+jitter+time.Second {
			t.Errorf("%s was not polled for %v while the queue was paused", token, gap)
		}
		w.sim.Confirm(token)
	}
	w.awaitRemoved(followed, time.Minute)
	for _, token := range fresh {
		if n := w.calls.polls("", token); n > 0 {
			t.Errorf("%s was enqueued while the queue was paused, and polled %d times", token, n)
		}
	}

	mon.must("POST", "/queues/"+queue.Follow+":resume")
	eventually(t, time.Minute, "the new sessions are polled", func() bool { return polled(fresh, 1) })
	for _, token := range fresh {
		w.sim.Confirm(token)
	}
	all := slices.Concat(followed, fresh)
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(time.Minute)
	w.check(all, nil)
}
