package queue

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Pipeline is a Redis client under asynq's that several goroutines share. What all of
// them ask goes to Redis in one round trip: it is sent when each has asked and waits,
// or is done. Only the commands that asynq enqueues tasks and looks at them with are
// sent so; every other goes by itself.
type Pipeline struct {
	redis.UniversalClient

	mu      sync.Mutex
	working int    // goroutines that have begun and are not done
	next    *round // nil if nobody waits
}

// round is a round trip.
type round struct {
	pipe    redis.Pipeliner
	waiting int
	done    chan struct{}
}

// NewPipeline makes a Pipeline for a Redis.
func NewPipeline(rdb redis.UniversalClient) *Pipeline { return &Pipeline{UniversalClient: rdb} }

// Begin says that n goroutines begin. Each calls Done when it asks no more.
func (p *Pipeline) Begin(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.working += n
}

// Done says that one goroutine is done. If all others wait, it sends for them.
func (p *Pipeline) Done(ctx context.Context) {
	p.mu.Lock()
	p.working--
	full := p.full()
	p.mu.Unlock()
	full.send(ctx)
}

// full takes the round off if everybody waits for it; nil if not. The lock is held.
func (p *Pipeline) full() *round {
	r := p.next
	if r == nil || r.waiting < p.working {
		return nil
	}
	p.next = nil
	return r
}

// send sends a round, if there is one. Each command has the error that it ended with.
func (r *round) send(ctx context.Context) {
	if r != nil {
		defer close(r.done)
		_, _ = r.pipe.Exec(ctx)
	}
}

// ask adds a command to the next round, and returns when that was answered.
func ask[C any](ctx context.Context, p *Pipeline, add func(redis.Pipeliner) C) C {
	p.mu.Lock()
	if p.next == nil {
		p.next = &round{pipe: p.Pipeline(), done: make(chan struct{})}
	}
	r := p.next
	cmd := add(r.pipe)
	r.waiting++
	full := p.full()
	p.mu.Unlock()
	full.send(ctx)
	<-r.done
	return cmd
}

// Eval is called by asynq.
func (p *Pipeline) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return ask(ctx, p, func(pipe redis.Pipeliner) *redis.Cmd { return pipe.Eval(ctx, script, keys, args...) })
}

// EvalSha is called by asynq.
func (p *Pipeline) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return ask(ctx, p, func(pipe redis.Pipeliner) *redis.Cmd { return pipe.EvalSha(ctx, sha1, keys, args...) })
}

// SIsMember is called by asynq.
func (p *Pipeline) SIsMember(ctx context.Context, key string, member any) *redis.BoolCmd {
	return ask(ctx, p, func(pipe redis.Pipeliner) *redis.BoolCmd { return pipe.SIsMember(ctx, key, member) })
}
