package tasks

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
)

// batchSize is how many sessions EnqueueMany sends to Redis at once.
const batchSize = 250

// EnqueueMany is Enqueue for many sessions, which it sends to Redis in batches of 250.
// It returns as many errors as there are sessions, in their order: for each what
// Enqueue would return. One that is nil says that its session is in. Of two sessions
// with one account and token the later is a duplicate.
//
// When Redis fails a whole batch, the sessions that are left are not tried, and have
// the error of the last one that was. Repeating the call for every session whose
// error is neither nil, nor ErrDuplicate, nor a *ValidationError is safe.
func (c *Client) EnqueueMany(ctx context.Context, sessions []Session) []error {
	results := make([]error, len(sessions))
	first := make(map[string]int, len(sessions)) // by id, the place of a session
	again := make(map[int]int)                   // places of sessions that came before
	var entries []entry
	for i, s := range sessions {
		s.Account = cmp.Or(s.Account, c.account)
		task, err := NewSignedFollowTask(c.key, s, c.retention)
		if err != nil {
			results[i] = err
			continue
		}
		id := s.ID()
		if at, known := first[id]; known {
			again[i] = at
			continue
		}
		first[id] = i
		entries = append(entries, entry{i, id, task})
	}
	c.enqueueBatches(ctx, entries, results)
	for i, at := range again {
		results[i] = cmp.Or(results[at], ErrDuplicate)
	}
	return results
}

// entry is a session to enqueue.
type entry struct {
	at   int // its place among the sessions of the call
	id   string
	task *asynq.Task
}

// enqueueBatches enqueues one session and then the others. With the first, asynq's
// client makes the queue known, so that it does not do it for each.
func (c *Client) enqueueBatches(ctx context.Context, entries []entry, results []error) {
	line := queue.NewPipeline(c.redis)
	e := newEnqueuer(line, c.shards)
	if err := bounded(ctx, func() error { return c.agree(ctx) }); err != nil {
		for _, one := range entries {
			results[one.at] = c.toldOf(ended(ctx, err))
		}
		return
	}
	for size := 1; len(entries) > 0; size = batchSize {
		batch := entries[:min(size, len(entries))]
		entries = entries[len(batch):]
		failed := 0
		var last error
		for i, err := range c.enqueueBatch(ctx, line, e, batch) {
			results[batch[i].at] = err
			if err != nil && !errors.Is(err, ErrDuplicate) {
				failed, last = failed+1, err
			}
		}
		if failed == len(batch) {
			for _, left := range entries {
				results[left.at] = last
			}
			return
		}
	}
}

// enqueueBatch returns what came of each session of a batch.
func (c *Client) enqueueBatch(ctx context.Context, line *queue.Pipeline, e enqueuer, batch []entry) []error {
	done := make(chan []error, 1) // nobody reads it if ctx ends first
	late := bounded(ctx, func() error {
		done <- e.together(ctx, line, batch)
		return nil
	})
	var errs []error
	if late == nil {
		errs = <-done
	} else {
		errs = make([]error, len(batch))
	}
	for i, err := range errs {
		errs[i] = c.toldOf(ended(ctx, cmp.Or(late, err)))
	}
	return errs
}

// together enqueues sessions at once. Each goes its own way through the answers of
// asynq, and what all of them ask Redis next is one round trip.
func (e enqueuer) together(ctx context.Context, line *queue.Pipeline, batch []entry) []error {
	errs := make([]error, len(batch))
	line.Begin(len(batch))
	var all sync.WaitGroup
	for i, one := range batch {
		all.Go(func() {
			defer line.Done(ctx)
			errs[i] = e.enqueue(ctx, one.task, one.id)
		})
	}
	all.Wait()
	return errs
}
