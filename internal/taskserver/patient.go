package taskserver

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/insist"
	"github.com/identwatch/identwatch/internal/lease"
)

// Patience knows when Redis last refused something, so that notes are written first
// when it is back: before anything is done that would act on their absence. The
// servers of a process share one, and see a refusal within a moment, because they ask
// for tasks all the time. Its zero value is ready. It is safe for concurrent use.
type Patience struct{ refused atomic.Pointer[time.Time] }

// Await waits, if Redis has just come back, until all notes must have been written, or
// ctx ends.
func (p *Patience) Await(ctx context.Context) {
	if at := p.refused.Load(); at != nil {
		pauseFor(ctx, time.Until(at.Add(notesFirst)))
	}
}

func (p *Patience) noteRefusal() {
	now := time.Now()
	p.refused.Store(&now)
}

// patient makes asynq wait if Redis refuses a script, as a full or read-only one
// does: asynq itself would ask again at once, forever. It also makes asynq wait until
// notes are written, and ask for tasks only if there are some.
type patient struct {
	redis.UniversalClient
	patience *Patience
	queue    *lease.Queue
	door     *door
}

const (
	refusalPause = 100 * time.Millisecond
	// redialPause is how long a process may not know that Redis is back: after many
	// refused connections go-redis dials once a second, and refuses commands meanwhile.
	redialPause = time.Second
	// notesFirst is from the last refusal to what waits for notes. Notes are tried again
	// each insist.LongestPause.
	notesFirst = refusalPause + redialPause + 2*insist.LongestPause
)

// EvalSha is what every script of asynq's runs by.
func (p patient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	switch {
	case p.queue.Dequeues(keys):
		return p.dequeue(ctx, sha, keys, args...)
	case p.queue.Forwards(keys) && !p.door.isDue():
		return redis.NewCmdResult(int64(0), nil) // none was forwarded
	}
	return p.evalSha(ctx, sha, keys, args...)
}

// dequeue waits until there is a task or the server stops. Then asynq asks again, because
// the arguments hold the end of the lease, and were made before the wait.
func (p patient) dequeue(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if p.door.awaitPending() {
		return redis.NewCmdResult(nil, redis.Nil)
	}
	cmd := p.evalSha(ctx, sha, keys, args...)
	if errors.Is(cmd.Err(), redis.Nil) {
		p.door.foundNone()
	}
	return cmd
}

func (p patient) evalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	cmd := p.UniversalClient.EvalSha(ctx, sha, keys, args...)
	if err := cmd.Err(); ctx.Err() == nil && isRefusal(err) {
		p.patience.noteRefusal()
		pauseFor(ctx, refusalPause)
	} else {
		p.patience.Await(ctx)
	}
	return cmd
}

// isRefusal leaves out what says nothing of Redis: nothing found, by Redis or by a
// script of asynq's, and a script that is sent next.
func isRefusal(err error) bool {
	return err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") && !redis.HasErrorPrefix(err, "NOT FOUND")
}

func pauseFor(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
