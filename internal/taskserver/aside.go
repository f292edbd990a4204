package taskserver

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// asideTimeout bounds one command that is sent aside.
	asideTimeout = time.Second
	// asideMost is how many wait: asynq writes three at each beat.
	asideMost = 6
)

// aside sends what asynq tells people of its servers. Its keys belong to no shard, and
// while the node is away that has them, asynq would wait with everything else it does. So
// asynq is told that they are written, and they are sent by the way. What finds no place
// is dropped: asynq writes it again some seconds later.
type aside struct {
	redis.UniversalClient
	jobs    chan func(context.Context)
	sending sync.WaitGroup
	stops   chan struct{} // closed when no more jobs come
	once    sync.Once
}

func newAside(rdb redis.UniversalClient) *aside {
	return &aside{UniversalClient: rdb, jobs: make(chan func(context.Context), asideMost), stops: make(chan struct{})}
}

func (a *aside) start() {
	a.sending.Go(func() {
		for {
			select {
			case job := <-a.jobs:
				a.send(context.Background(), job)
			case <-a.stops:
				a.sendLast()
				return
			}
		}
	})
}

func (a *aside) send(ctx context.Context, job func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, asideTimeout)
	defer cancel()
	job(ctx)
}

// sendLast sends what waits, for no longer than one command may take.
func (a *aside) sendLast() {
	ctx, cancel := context.WithTimeout(context.Background(), asideTimeout)
	defer cancel()
	for {
		select {
		case job := <-a.jobs:
			a.send(ctx, job)
		default:
			return
		}
	}
}

// stop is called when asynq has stopped; repeating it does nothing.
func (a *aside) stop() {
	a.once.Do(func() { close(a.stops) })
	a.sending.Wait()
}

func (a *aside) later(job func(context.Context)) {
	select {
	case a.jobs <- job:
	default:
	}
}

// isOfServers reports whether a key is about asynq's servers, and in no shard.
func isOfServers(key string) bool {
	return strings.HasPrefix(key, "asynq:servers") || strings.HasPrefix(key, "asynq:workers")
}

// ZAdd is called by asynq.
func (a *aside) ZAdd(ctx context.Context, key string, members ...redis.Z) *redis.IntCmd {
	if !isOfServers(key) {
		return a.UniversalClient.ZAdd(ctx, key, members...)
	}
	a.later(func(ctx context.Context) { a.UniversalClient.ZAdd(ctx, key, members...) })
	return redis.NewIntResult(0, nil)
}

// ZRem is called by asynq.
func (a *aside) ZRem(ctx context.Context, key string, members ...any) *redis.IntCmd {
	if !isOfServers(key) {
		return a.UniversalClient.ZRem(ctx, key, members...)
	}
	a.later(func(ctx context.Context) { a.UniversalClient.ZRem(ctx, key, members...) })
	return redis.NewIntResult(0, nil)
}

// EvalSha is called by asynq. Whether Redis knows a script that is sent aside is not
// known in time, so that asynq is always asked for its text.
func (a *aside) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if len(keys) == 0 || !isOfServers(keys[0]) {
		return a.UniversalClient.EvalSha(ctx, sha, keys, args...)
	}
	return redis.NewCmdResult(nil, noScriptError{})
}

// Eval is called by asynq.
func (a *aside) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	if len(keys) == 0 || !isOfServers(keys[0]) {
		return a.UniversalClient.Eval(ctx, script, keys, args...)
	}
	a.later(func(ctx context.Context) { a.UniversalClient.Eval(ctx, script, keys, args...) })
	return redis.NewCmdResult("OK", nil)
}

// noScriptError is how Redis answers that it does not know a script.
type noScriptError struct{}

var _ redis.Error = noScriptError{}

func (noScriptError) Error() string { return "NOSCRIPT it is sent aside" }

// RedisError makes it an answer of Redis.
func (noScriptError) RedisError() {}
