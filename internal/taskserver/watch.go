package taskserver

import (
	"context"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/lease"
)

// watchPause is between two looks at the queues, and so the most that a new task waits
// before a server that has nothing to do asks for it.
const watchPause = 100 * time.Millisecond

// Watch looks at the queues of one shard for their servers, which then ask Redis only if
// there is something to do: each of them alone would ask all the time. It is safe for
// concurrent use.
type Watch struct {
	queues   []*lease.Queue
	doors    map[*lease.Queue]*door
	patience *Patience
	trouble  func()

	stop    context.CancelFunc
	looping sync.WaitGroup

	mu     sync.Mutex
	asked  time.Time // when the look under way began; zero if there is none
	failed bool      // the last one did
}

// lookPatience is after how long a look that is not answered says that Redis is away.
const lookPatience = 500 * time.Millisecond

// Away reports whether Redis did not answer the last look, or has not answered the one
// under way for half a second.
func (w *Watch) Away() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed || !w.asked.IsZero() && time.Since(w.asked) > lookPatience
}

func (w *Watch) noteAsked() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = time.Now()
}

func (w *Watch) noteAnswer(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked, w.failed = time.Time{}, err != nil
}

// NewWatch makes a Watch of queues that share a slot. Trouble is called when Redis did
// not say how they stand.
func NewWatch(queues []*lease.Queue, p *Patience, trouble func()) *Watch {
	w := &Watch{queues: queues, doors: make(map[*lease.Queue]*door), patience: p, trouble: trouble}
	for _, q := range queues {
		w.doors[q] = &door{changed: make(chan struct{})}
	}
	return w
}

// Start looks at the queues until Stop.
func (w *Watch) Start() {
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.looping.Go(func() {
		tick := time.NewTicker(watchPause)
		defer tick.Stop()
		for {
			w.look(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// Stop ends it. The servers must have stopped before.
func (w *Watch) Stop() {
	w.stop()
	w.looping.Wait()
}

func (w *Watch) look(ctx context.Context) {
	w.noteAsked()
	standings, err := lease.Look(ctx, w.queues)
	w.noteAnswer(err)
	if err != nil {
		if ctx.Err() == nil {
			w.patience.noteRefusal()
			w.trouble()
		}
		return
	}
	for i, q := range w.queues {
		w.doors[q].set(standings[i])
	}
}

// door is what the server of one queue waits at.
type door struct {
	mu      sync.Mutex
	stands  lease.Standing
	shut    bool          // the server stops
	changed chan struct{} // closed when the server is to look again
}

func (d *door) set(s lease.Standing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	opens := s.Pending && !d.stands.Pending
	d.stands = s
	if opens {
		d.wake()
	}
}

// wake has the server look again. The lock is held.
func (d *door) wake() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// close lets the server no longer in.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	d.wake()
}

// found says that no task is pending any more.
func (d *door) foundNone() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stands.Pending = false
}

// awaitPending waits until a task is pending or the server stops. It returns false if
// there was nothing to wait for.
func (d *door) awaitPending() (waited bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.shut && !d.stands.Pending {
		changed := d.changed
		d.mu.Unlock()
		<-changed
		d.mu.Lock()
		waited = true
	}
	return waited || d.shut
}

// isDue reports whether a task is to become pending.
func (d *door) isDue() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stands.Due && !d.shut
}
