package follow

import (
	"container/heap"
	"context"
	"time"

	"github.com/identwatch/identwatch/internal/lease"
)

// renewLoop moves the due times of all sessions' tasks on, each third of a lease.
func (f *Follower) renewLoop(ctx context.Context) {
	ticker := time.NewTicker(f.opts.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.renew(ctx)
		}
	}
}

// renew renews what is still this process's and drops what is not: sessions that
// somebody else took over, that an operator deleted, or whose lease ran out.
func (f *Follower) renew(ctx context.Context) {
	defer f.dropUnrenewed()
	ids := f.ids()
	if len(ids) == 0 {
		return
	}
	begun := time.Now()
	others, err := f.opts.Records.HeldByOthers(ctx, ids)
	if err == nil {
		ids = f.dropTaken(ids, others)
		var statuses []lease.Status
		if statuses, err = f.opts.Tasks.Renew(ctx, ids, begun.Add(f.opts.Lease)); err == nil {
			f.dropStopped(ctx, f.noteRenewed(ids, statuses, begun))
			return
		}
	}
	f.opts.Log.Error("renewing leases failed", "sessions", len(ids), "error", err)
}

func (f *Follower) ids() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := make([]string, 0, len(f.sessions))
	for id := range f.sessions {
		ids = append(ids, id)
	}
	return ids
}

// dropTaken drops what others hold and returns the rest.
func (f *Follower) dropTaken(ids []string, others map[string]bool) []string {
	if len(others) == 0 {
		return ids
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	held := ids[:0]
	for _, id := range ids {
		if !others[id] {
			held = append(held, id)
		} else if s := f.sessions[id]; s != nil {
			s.taken = true
			f.dropIfOver(s)
		}
	}
	return held
}

// noteRenewed returns the sessions whose task is gone.
func (f *Follower) noteRenewed(ids []string, statuses []lease.Status, begun time.Time) (gone []*Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, id := range ids {
		s := f.sessions[id]
		if s == nil {
			continue
		}
		switch statuses[i] {
		case lease.Renewed:
			s.renewed = begun
		case lease.Gone:
			gone = append(gone, s)
		case lease.Elsewhere: // it runs, or is about to: the lease decides
		}
	}
	return gone
}

// dropStopped drops the sessions that an operator stopped by deleting or
// archiving their tasks. A result in hand is still brought to its end.
func (f *Follower) dropStopped(ctx context.Context, gone []*Session) {
	for _, s := range gone {
		f.mu.Lock()
		s.stopped = true
		dropped := f.dropIfOver(s)
		f.mu.Unlock()
		if dropped {
			f.forget(ctx, s)
		}
	}
}

// dropIfOver drops a waiting session that is no longer this process's; one
// that a pool has is looked at again when it comes back. The lock is held.
func (f *Follower) dropIfOver(s *Session) bool {
	if s.place < 0 || !s.isOver() {
		return false
	}
	heap.Remove(&f.due, s.place)
	f.drop(s)
	return true
}

// leaseOver reports whether the lease may have ended. asynq keeps due times in
// whole seconds, so a lease may be a second short.
func (f *Follower) leaseOver(s *Session) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unrenewed(s)
}

func (f *Follower) unrenewed(s *Session) bool {
	return time.Since(s.renewed) > f.opts.Lease-time.Second
}

// dropUnrenewed drops what could not be renewed for a lease: another worker may
// follow it by now.
func (f *Follower) dropUnrenewed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	dropped := 0
	for _, s := range f.sessions {
		if !f.unrenewed(s) {
			continue
		}
		s.taken = true
		if f.dropIfOver(s) {
			dropped++
		}
	}
	if dropped > 0 {
		f.opts.Log.Warn("leases ran out; other workers take the sessions over", "sessions", dropped)
	}
}
