package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redisinfo"
)

// service makes the checks that Redis answers. Where Redis cannot be used,
// it is asked once.
func (e *exam) service(ctx context.Context, rdb redis.UniversalClient, into []Check) {
	reached := false
	into[0] = e.check("redis", "", func() (f finding) {
		f, reached = askRedis(ctx, rdb)
		return f
	})
	for i, question := range []struct {
		name string
		ask  func(context.Context, redis.UniversalClient) finding
	}{{"redis_access", askAccess}, {"clock", askClock}, {"workers", askWorkers}} {
		into[1+i] = e.check(question.name, "", func() finding {
			if !reached {
				return finding{Skipped, "Redis cannot be used", ""}
			}
			return question.ask(ctx, rdb)
		})
	}
}

// askRedis also reports whether Redis answers at all.
func askRedis(ctx context.Context, rdb redis.UniversalClient) (f finding, reached bool) {
	ping, err := within(ctx, func(ctx context.Context) (time.Duration, error) { return measurePing(ctx, rdb) })
	if _, answered := errors.AsType[redis.Error](err); answered {
		return failedBy(err, "check the user, the password and the database in REDIS_URL; a Redis that is starting needs time"), false
	}
	if err != nil {
		return failedBy(err, "see that Redis runs, and that REDIS_URL says where"), false
	}
	seen, err := within(ctx, func(ctx context.Context) (seenRedis, error) { return inspectRedis(ctx, rdb) })
	if err != nil {
		return failedBy(err, "let REDIS_URL name a Redis that will do"), true
	}
	f = finding{OK, fmt.Sprintf("version %s, PING in %s", seen.version, brief(ping)), ""}
	if len(seen.unsafe) > 0 {
		f.status = Warning
		f.detail += "; " + strings.Join(seen.unsafe, "; ")
		f.advice = strings.Join(seen.remedies, "; ")
	}
	return f, true
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

// seenRedis is a Redis that will do.
type seenRedis struct {
	version          string
	unsafe, remedies []string
}

func inspectRedis(ctx context.Context, rdb redis.UniversalClient) (seen seenRedis, err error) {
	info, err := redisinfo.Read(ctx, rdb)
	if err != nil {
		return seen, err
	}
	flaws, err := info.Check(rdb)
	for _, flaw := range flaws {
		seen.unsafe = append(seen.unsafe, flaw.Problem)
		seen.remedies = append(seen.remedies, flaw.Remedy)
	}
	seen.version = cmp.Or(info.Version(), "unknown")
	return seen, err
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
