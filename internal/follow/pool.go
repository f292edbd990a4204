package follow

import (
	"context"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/defect"
	"github.com/identwatch/identwatch/internal/fair"
)

// pool is a bounded number of goroutines that run one kind of step.
type pool struct {
	follower *Follower
	workers  int
	work     chan *Session
	shares   *fair.Slots // of the accounts; nil if none is held back
	running  sync.WaitGroup
}

func newPool(f *Follower, workers, room int, shares *fair.Slots) *pool {
	return &pool{follower: f, workers: workers, work: make(chan *Session, room), shares: shares}
}

// start takes work until taking is done; the steps themselves run under working.
func (p *pool) start(taking, working context.Context) {
	for range p.workers {
		p.running.Go(func() {
			for taking.Err() == nil { // asked first: select picks any case that is ready
				select {
				case <-taking.Done():
					return
				case s := <-p.work:
					p.run(working, s)
				}
			}
		})
	}
}

// wait returns when the steps under way are done; what was not begun goes back to
// the heap.
func (p *pool) wait() {
	p.running.Wait()
	for {
		select {
		case s := <-p.work:
			p.giveBack(s, Next{Step: s.step, At: s.due})
		default:
			return
		}
	}
}

func (p *pool) run(ctx context.Context, s *Session) {
	if stopped := p.giveBack(s, p.safely(ctx, s)); stopped {
		p.follower.forget(ctx, s)
	}
}

func (p *pool) giveBack(s *Session, n Next) (stopped bool) {
	p.giveBackShare(s)
	return p.follower.put(s, n)
}

func (p *pool) giveBackShare(s *Session) {
	if p.shares != nil {
		p.shares.GiveBack(s.Account)
	}
}

// maxPanics is how often a defect may meet a session before the step is given up.
const maxPanics = 3

// safely runs the step. A panic is tried again after a pause, and the third one
// leaves the step to AfterDefect. A session whose lease may be over is not polled:
// renewing decides whose it is.
func (p *pool) safely(ctx context.Context, s *Session) (n Next) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		defect.Log(p.follower.opts.Log, s.ID, cause)
		s.panics++
		n = In(time.Duration(s.panics)*time.Second, s.step)
		if s.panics >= maxPanics {
			s.panics = 0
			n = s.step.AfterDefect()
		}
	}()
	if s.step.Kind() == Poll && p.follower.leaseOver(s) {
		return In(p.follower.opts.Lease/3, s.step)
	}
	n = s.step.Run(ctx)
	s.panics = 0
	return n
}
