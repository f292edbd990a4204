// Package intake enqueues a stream of tokens, many at a time, and tells of each
// one that is refused. It repeats what Redis did not answer, which is safe: the
// second time a session that is in already is a duplicate.
package intake

import (
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
	Err     error // the stream ended here
}

// Queue is what a *tasks.Client does.
type Queue interface {
	Enqueue(ctx context.Context, s tasks.Session) error
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

// workers is how many tokens are on their way to Redis at once.
const workers = 32

// Run enqueues the items until there are no more. It returns early with ctx's
// error, that of the stream, or that of Redis; then more items may be in than
// were counted, and repeating them all is safe.
//
// A stream that never comes back from a read is left to itself.
func (in *Intake) Run(ctx context.Context, items iter.Seq[Item]) error {
	group, ctx := errgroup.WithContext(ctx)
	queue := make(chan Item)
	go func() {
		defer close(queue)
		for item := range items {
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
	return group.Wait()
}

func (in *Intake) work(ctx context.Context, queue <-chan Item) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case item, more := <-queue:
			if !more {
				return ctx.Err()
			}
			if err := in.take(ctx, item); err != nil {
				return err
			}
		}
	}
}

// take enqueues one item. It returns an error where the next would fare no
// better.
func (in *Intake) take(ctx context.Context, item Item) error {
	if item.Err != nil {
		return fmt.Errorf("reading the tokens: %w", item.Err)
	}
	err := item.Refusal
	if err == nil {
		session := in.Template
		session.Token = item.Token
		err = in.enqueue(ctx, session)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case err == nil:
		in.tally.Enqueued++
	case item.Refusal != nil, refusal(err):
		in.tally.Refused++
		in.Refused(item, err)
	default:
		return err
	}
	return nil
}

const (
	tries      = 5
	firstPause = 100 * time.Millisecond // then twice as long each time
	tryTimeout = 10 * time.Second
)

// enqueue repeats what Redis did not answer. A try under way is not cut off when
// ctx ends, so that its session is counted.
func (in *Intake) enqueue(ctx context.Context, s tasks.Session) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := in.tryOnce(ctx, s)
		switch {
		case try > 1 && errors.Is(err, tasks.ErrDuplicate):
			return nil // an earlier try's answer was lost
		case err == nil, refusal(err), try == tries:
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

func (in *Intake) tryOnce(ctx context.Context, s tasks.Session) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryTimeout)
	defer cancel()
	return in.Queue.Enqueue(ctx, s)
}

// refusal reports whether an error is about the one session.
func refusal(err error) bool {
	_, invalid := errors.AsType[*tasks.ValidationError](err)
	return invalid || errors.Is(err, tasks.ErrDuplicate)
}
