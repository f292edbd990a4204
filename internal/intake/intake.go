// Package intake enqueues a stream of tokens, and reports each one that is refused.
// Tokens that come quickly go to Redis in groups; one that comes alone does not wait
// for others. It repeats what Redis did not answer, which is safe: the second time a
// session that is in already is a duplicate.
//
// Read intake.go, then lines.go.
package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/identwatch/identwatch/tasks"
)

// Item is one token of the stream.
type Item struct {
	Line    int // of the stream, from 1; 0 for an argument
	Token   string
	Refusal error // why it is refused without asking Redis
	Err     error // the stream broke here, and there is no token
}

// Queue is what a *tasks.Client does.
type Queue interface {
	EnqueueMany(ctx context.Context, sessions []tasks.Session) []error
}

// Intake enqueues tokens as sessions.
type Intake struct {
	Queue    Queue
	Template tasks.Session // all but the token
	// Refused is told of each item that is refused, and by whom it does not
	// matter: one at a time.
	Refused func(item Item, why error)

	mu    sync.Mutex
	tally Tally
}

// Tally counts items.
type Tally struct{ Enqueued, Refused int }

// Tally returns the counts so far.
func (in *Intake) Tally() Tally {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.tally
}

const (
	// groupSize is how many tokens go to Redis together, if so many are there.
	groupSize = 250
	// workers is how many groups are on their way to Redis at once.
	workers = 2
)

// Run enqueues the items until there are no more. It returns early with ctx's
// error, that of the stream, or that of Redis; then more items may be in than
// were counted, and repeating them all is safe.
//
// A stream that never comes back from a read is left to itself.
func (in *Intake) Run(ctx context.Context, items iter.Seq[Item]) error {
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan Item, groupSize)
	var broken error // of the stream; read once queue is closed
	go func() {
		defer close(queue)
		for item := range items {
			if item.Err != nil {
				broken = fmt.Errorf("reading the tokens: %w", item.Err)
				return
			}
			select {
			case queue <- item:
			case <-ctx.Done():
				return
			}
		}
	}()
	for range workers {
		group.Go(func() error { return in.work(ctx, queue) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return broken
}

// work takes groups until there are no more. It returns nil only if queue is closed.
func (in *Intake) work(ctx context.Context, queue <-chan Item) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case item, more := <-queue:
			if !more || ctx.Err() != nil { // the select may choose either
				return ctx.Err()
			}
			if err := in.take(ctx, gather(item, queue)); err != nil {
				return err
			}
		}
	}
}

// gather makes a group of an item and of those that have come after it by now.
func gather(first Item, queue <-chan Item) []Item {
	group := []Item{first}
	for len(group) < groupSize {
		select {
		case item, more := <-queue:
			if !more {
				return group
			}
			group = append(group, item)
		default:
			return group
		}
	}
	return group
}

// take enqueues a group. It returns an error if the next would fare no better.
func (in *Intake) take(ctx context.Context, group []Item) error {
	results := in.enqueue(ctx, group)
	in.mu.Lock()
	defer in.mu.Unlock()
	var failed error
	for i, err := range results {
		item := group[i]
		switch {
		case err == nil:
			in.tally.Enqueued++
		case item.Refusal != nil, refusal(err):
			in.tally.Refused++
			in.Refused(item, err)
		default:
			failed = cmp.Or(failed, err)
		}
	}
	return failed
}

const (
	tries      = 5
	firstPause = 100 * time.Millisecond // then twice as long each time
	tryTimeout = 10 * time.Second
)

// enqueue returns what came of each item of a group. It repeats what Redis did not
// answer, until ctx ends.
func (in *Intake) enqueue(ctx context.Context, group []Item) []error {
	results := make([]error, len(group))
	var open []int // places of the items that are not answered
	for i, item := range group {
		if results[i] = item.Refusal; item.Refusal == nil {
			open = append(open, i)
		}
	}
	pause := firstPause
	for try := 1; len(open) > 0; try++ {
		open = in.tryOnce(ctx, group, open, results)
		if len(open) == 0 || try == tries {
			break
		}
		select {
		case <-ctx.Done():
			return results
		case <-time.After(pause):
			pause *= 2
		}
	}
	return results
}

// tryOnce tries the open items of a group, and returns which of them are still open.
// It is not cut off when ctx ends, so that the sessions that are under way are counted.
func (in *Intake) tryOnce(ctx context.Context, group []Item, open []int, results []error) (left []int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryTimeout)
	defer cancel()
	sessions := make([]tasks.Session, len(open))
	for i, at := range open {
		sessions[i] = in.Template
		sessions[i].Token = group[at].Token
	}
	for i, err := range in.Queue.EnqueueMany(ctx, sessions) {
		at := open[i]
		if triedBefore := results[at] != nil; triedBefore && errors.Is(err, tasks.ErrDuplicate) {
			err = nil // an earlier try's answer was lost
		}
		results[at] = err
		if err != nil && !refusal(err) {
			left = append(left, at)
		}
	}
	return left
}

// refusal reports whether an error is about the one session.
func refusal(err error) bool {
	_, invalid := errors.AsType[*tasks.ValidationError](err)
	return invalid || errors.Is(err, tasks.ErrDuplicate)
}
