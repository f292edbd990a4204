package e2e

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
)

func TestServe_DuplicateEnqueueFromTwoProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	w.serve()
	all := w.begin("twice", 200, confirms(time.Second, 4*time.Second))
	said := make([]string, 2)
	var both sync.WaitGroup
	for i := range said {
		both.Go(func() { _, said[i] = w.tryEnqueue(all) })
	}
	both.Wait()
	refused := strings.Count(said[0]+said[1], tasks.ErrDuplicate.Error())
	if refused != len(all) {
		t.Errorf("%d tokens were refused as duplicates, want each of %d once\n%s%s", refused, len(all), said[0], said[1])
	}
	w.awaitRemoved(all, time.Minute)
	if code, said := w.tryEnqueue(all[:1]); code != 1 || !strings.Contains(said, tasks.ErrDuplicate.Error()) {
		t.Errorf("enqueueing a session that was finished recently: exit code %d, want 1\n%s", code, said)
	}
	w.awaitQuiet(time.Minute)
	w.check(all, nil)
}

func TestServe_LateNotFoundMakesNoEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late := make(chan struct{}) // until when a poll of A's stays on its way
	var mu sync.Mutex
	holding, held := false, 0
	w.calls.hold = func(by, _ string, _ bool) <-chan struct{} {
		mu.Lock()
		defer mu.Unlock()
		if by != "A" || !holding {
			return nil
		}
		held++
		return late
	}
	isHeld := func() bool { mu.Lock(); defer mu.Unlock(); return held > 0 }
	a := w.serve()
	all := w.begin("late-poll", 1, waits())
	w.enqueue(all)
	eventually(t, time.Minute, "A polls the session", func() bool { return w.calls.polls("A", all[0]) >= 2 })
	b := w.serve()
	mu.Lock()
	holding = true
	mu.Unlock()
	eventually(t, time.Minute, "a poll of A's is on its way", isHeld)

	// An operator runs the task early until B has it, while A's poll hangs.
	eventually(t, time.Minute, "B polls the session", func() bool {
		if len(w.heldByOthers(b, all)) > 0 {
			_ = w.tasks.RunTask(queue.Follow, "default:"+all[0])
		}
		return w.calls.polls("B", all[0]) > 0
	})
	w.sim.Confirm(all[0])
	w.awaitRemoved(all, 8*time.Second) // A waits for its answer for ten
	before := w.calls.polls("A", all[0])
	close(late)
	eventually(t, time.Minute, "A looks at its late answer and drops the session", func() bool {
		for _, e := range a.entries() {
			if e["msg"] == "session is final" && e["reason"] == "not_found" {
				return true
			}
		}
		return false
	})
	// Neither that answer nor an operator who runs the finished task again makes
	// more of it.
	w.awaitQuiet(time.Minute)
	for range 3 {
		if err := w.tasks.RunTask(queue.Follow, "default:"+all[0]); err != nil {
			t.Error(err)
		}
		w.awaitQuiet(time.Minute)
	}
	w.check(all, nil)
	if s := w.story(all[0]); len(s.posts) != 1 {
		t.Errorf("%d posts, want 1", len(s.posts))
	}
	if after := w.calls.polls("A", all[0]); after > before {
		t.Errorf("A polled a finished session %d times more", after-before)
	}
}
