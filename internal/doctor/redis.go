package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redisinfo"
)

// service makes the checks that Redis answers. If Redis cannot be used, it is
// asked once.
func (e *exam) service(ctx context.Context, opts Options, into []Check) {
	var masters []redisinfo.Master // those that answer
	var allAnswer bool
	into[0] = e.check("redis", "", func() (f finding) {
		f, masters, allAnswer = askRedis(ctx, opts.Redis)
		return f
	})
	for i, question := range []struct {
		name string
		ask  func() finding
	}{
		{"redis_access", func() finding { return askAccess(ctx, masters) }},
		{"clock", func() finding { return askClock(ctx, masters) }},
		{"shards", func() finding { return askShards(ctx, opts.Redis, opts.Shards, masters) }},
		{"workers", func() finding { return askWorkers(ctx, opts.Redis, opts.Shards, allAnswer) }},
	} {
		into[1+i] = e.check(question.name, "", func() finding {
			if masters == nil {
				return finding{Skipped, "Redis cannot be used", ""}
			}
			return question.ask()
		})
	}
}

// askRedis also returns the masters that answer: one, or those of a cluster.
func askRedis(ctx context.Context, rdb redis.UniversalClient) (f finding, masters []redisinfo.Master, all bool) {
	states, err := within(ctx, func(ctx context.Context) ([]redisinfo.State, error) { return redisinfo.ReadAll(ctx, rdb) })
	if err != nil {
		return unreachable(err), nil, false
	}
	var silent []string
	for _, s := range states {
		if s.Err == nil {
			masters = append(masters, s.Master)
		} else {
			silent = append(silent, failedBy(s.Err, "").detail)
		}
	}
	pings, err := askEach(ctx, masters, measurePing)
	if err != nil {
		return unreachable(err), nil, false
	}
	flaws, err := redisinfo.Check(rdb, states)
	if err != nil {
		return failedBy(err, "let REDIS_URL name a Redis that will do"), masters, silent == nil
	}
	f = finding{OK, describe(states) + ", PING in " + brief(slices.Max(pings)), ""}
	var advice []string
	for _, flaw := range flaws {
		f.status = Warning
		f.detail += "; " + flaw.Problem
		advice = append(advice, flaw.Remedy)
	}
	if silent != nil {
		f.status = Failed
		f.detail = fmt.Sprintf("%d of %d masters do not answer: %s; the others: %s", len(silent), len(states), strings.Join(silent, "; "), f.detail)
		advice = append([]string{"see that each master runs and has a replica, which takes over when the master is down"}, advice...)
	}
	f.advice = strings.Join(advice, "; ")
	return f, masters, silent == nil
}

// unreachable is what Redis comes to if it does not answer, or will not have us.
func unreachable(err error) finding {
	if errors.Is(err, redisinfo.ErrNotCluster) {
		return failedBy(err, "write redis:// or rediss:// into REDIS_URL")
	}
	if _, answered := errors.AsType[redis.Error](err); answered {
		return failedBy(err, "check the user, the password and the database in REDIS_URL; a Redis that is starting needs time")
	}
	return failedBy(err, "see that Redis runs, and that REDIS_URL says where")
}

// describe says how many masters a cluster has, and which versions answer.
func describe(states []redisinfo.State) string {
	var versions []string
	for _, s := range states {
		if version := cmp.Or(s.Info.Version(), "unknown"); s.Err == nil && !slices.Contains(versions, version) {
			versions = append(versions, version)
		}
	}
	text := "version " + strings.Join(versions, " and ")
	if states[0].Addr != "" {
		text = fmt.Sprintf("cluster with masters: %d, ", len(states)) + text
	}
	return text
}

// measurePing connects, and then takes the time of a PING.
func measurePing(ctx context.Context, rdb redis.UniversalClient) (time.Duration, error) {
	if err := rdb.Ping(ctx).Err(); err != nil {
		return 0, err
	}
	began := time.Now()
	err := rdb.Ping(ctx).Err()
	return time.Since(began), err
}

// askEach asks all masters at once, each no longer than a call may take. The answers
// are in the order of the masters. The error names the first master that has one.
func askEach[T any](ctx context.Context, masters []redisinfo.Master, ask func(context.Context, redis.UniversalClient) (T, error)) ([]T, error) {
	answers, errs := make([]T, len(masters)), make([]error, len(masters))
	var all sync.WaitGroup
	for i, m := range masters {
		all.Go(func() {
			answer, err := within(ctx, func(ctx context.Context) (T, error) { return ask(ctx, m.Client) })
			answers[i], errs[i] = answer, m.Named(err)
		})
	}
	all.Wait()
	return answers, cmp.Or(errs...)
}

// errLate ends a question to Redis, whose client does not always heed a context.
var errLate = errors.New("no answer within " + callTimeout.String())

// within asks, and waits no longer than a call may take. What is late goes on
// until the client is closed.
func within[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := ask(ctx)
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil && ctx.Err() != nil {
			a.err = errLate
		}
		return a.value, a.err
	case <-ctx.Done():
		return *new(T), errLate
	}
}

// failedBy tells of an error of Redis or on the way to it. Such errors name
// addresses, but never a URL. A Redis that does not know AUTH quotes what it was
// given.
func failedBy(err error, advice string) finding {
	detail, _, _ := strings.Cut(err.Error(), ", with args")
	return finding{Failed, detail, advice}
}

// brief is a duration in milliseconds, those under ten with one decimal place.
func brief(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	}
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
