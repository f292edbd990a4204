package worker

import (
	"context"
	"sync"
	"time"
)

// pool is a bounded number of goroutines that do one kind of step.
type pool struct {
	follower *follower
	workers  int
	work     chan *session
	do       func(context.Context, *session) next
	running  *sync.WaitGroup
}

func newPool(f *follower, workers, size int, do func(context.Context, *session) next) pool {
	return pool{f, workers, make(chan *session, size), do, new(sync.WaitGroup)}
}

// start takes work until taking is done; the steps themselves run under working.
func (p pool) start(taking, working context.Context) {
	for range p.workers {
		p.running.Go(func() {
			for taking.Err() == nil { // asked first: select picks any case that is ready
				select {
				case <-taking.Done():
					return
				case s := <-p.work:
					p.step(working, s)
				}
			}
		})
	}
}

// wait returns when the steps under way are done; what was not begun goes back
// to the heap.
func (p pool) wait() {
	p.running.Wait()
	for {
		select {
		case s := <-p.work:
			p.follower.put(s, next{s.step, s.due})
		default:
			return
		}
	}
}

// drain empties the pool and returns the ids of what was in it.
func (p pool) drain() (ids []string) {
	for {
		select {
		case s := <-p.work:
			ids = append(ids, s.id)
		default:
			return ids
		}
	}
}

func (p pool) step(ctx context.Context, s *session) {
	n := p.safely(ctx, s)
	if stopped := p.follower.put(s, n); stopped {
		p.follower.forget(ctx, s)
	}
}

// maxPanics is how often a defect may meet a session before the step is given up.
const maxPanics = 3

// safely does the step. A panic backs off, and the third leaves the step to
// others: a poll ends the session as failed, a post and a removal go to the
// queue that repeats them.
func (p pool) safely(ctx context.Context, s *session) (n next) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		p.follower.logPanic(s.id, cause)
		s.panics++
		n = in(time.Duration(s.panics)*time.Second, s.step)
		if s.panics >= maxPanics {
			s.panics = 0
			n = p.follower.afterDefect(s)
		}
	}()
	return p.do(ctx, s)
}
