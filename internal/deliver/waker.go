package deliver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/insist"
	"github.com/identwatch/identwatch/internal/lease"
)

const (
	// gather is for how long a task waits for others that are made to run with it.
	gather = 50 * time.Millisecond
	// endPause is between two tries to end a task that asynq says is still running.
	endPause = 200 * time.Millisecond
)

// wakers make the tasks of webhook:deliver run whose event needs no post any more, so
// that each ends. There is one for each queue. They are safe for concurrent use.
type wakers struct {
	queues lease.Queues
	each   map[*lease.Queue]*waker
}

func newWakers(queues lease.Queues, notes insist.Notes, log *slog.Logger) wakers {
	each := make(map[*lease.Queue]*waker)
	for _, q := range queues.All() {
		each[q] = newWaker(q, notes, log)
	}
	return wakers{queues, each}
}

func (ks wakers) add(ids ...string) {
	for _, id := range ids {
		ks.each[ks.queues.Of(id)].add(id)
	}
}

// start runs the wakers. What it returns ends them, after a last try.
func (ks wakers) start(working context.Context) (stop func()) {
	waking, cancel := context.WithCancel(working)
	var loops sync.WaitGroup
	for _, k := range ks.each {
		loops.Go(func() { k.loop(waking) })
	}
	return func() {
		cancel()
		loops.Wait()
	}
}

// waker is that of one queue.
type waker struct {
	queue *lease.Queue
	notes insist.Notes
	log   *slog.Logger
	news  chan struct{}

	mu  sync.Mutex
	ids []string
}

func newWaker(q *lease.Queue, notes insist.Notes, log *slog.Logger) *waker {
	return &waker{queue: q, notes: notes, log: log, news: make(chan struct{}, 1)}
}

func (k *waker) add(ids ...string) {
	k.mu.Lock()
	k.ids = append(k.ids, ids...)
	k.mu.Unlock()
	select {
	case k.news <- struct{}{}:
	default:
	}
}

func (k *waker) take() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids := k.ids
	k.ids = nil
	return ids
}

func (k *waker) loop(stopping context.Context) {
	for {
		select {
		case <-stopping.Done():
			k.lastTries() //nolint:contextcheck // what it writes outlives the loop
			return
		case <-k.news:
		}
		pauseFor(stopping, gather)
		running, err := k.wake(k.take()) //nolint:contextcheck // as above
		if len(running) > 0 || err != nil {
			pauseFor(stopping, endPause)
			k.add(running...)
		}
	}
}

// lastTries wakes what is left, without waiting for tasks that are running. What cannot
// be woken comes when it is due.
func (k *waker) lastTries() {
	const tries = 3
	ids := k.take()
	for try := 1; ; try++ {
		left, err := k.wake(ids)
		if err == nil || try == tries {
			return
		}
		ids = left
		pauseFor(k.notes.Context(), endPause)
	}
}

// wake makes tasks run, and returns those that it is to be tried again for: all if
// Redis did not answer, and else those that are running just now, which may have read
// their record before and are made to run once more.
func (k *waker) wake(ids []string) (again []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	running, err := k.queue.ReleaseAll(k.notes.Context(), ids)
	if err != nil {
		k.log.Error("ending deliveries failed; trying again", "tasks", len(ids), "error", err)
		return ids, err
	}
	return running, nil
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
