package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// The clock of this machine may be off from Redis's by so much. asynq compares
// times that workers and applications wrote by their own clocks.
const (
	clockWarning = 500 * time.Millisecond
	clockLimit   = 3 * time.Second
)

func askClock(ctx context.Context, rdb redis.UniversalClient) finding {
	ahead, err := within(ctx, func(ctx context.Context) (time.Duration, error) { return measureClock(ctx, rdb) })
	if err != nil {
		return failedBy(err, "let Redis answer TIME")
	}
	f := finding{OK, "this machine's clock is " + brief(ahead.Abs()) + " ahead of that of Redis", ""}
	if ahead < 0 {
		f.detail = strings.Replace(f.detail, "ahead of", "behind", 1)
	}
	switch off := ahead.Abs(); {
	case off < clockWarning:
		return f
	case off <= clockLimit:
		f.status = Warning
	default:
		f.status = Failed
	}
	f.advice = "set both clocks, for example by NTP: workers and applications go by them together"
	return f
}

// clockSamples are as many as make it likely that one is quick.
const clockSamples = 3

// measureClock returns how far this machine's clock is ahead of Redis's, by the
// quickest answer: Redis read its clock about half way through.
func measureClock(ctx context.Context, rdb redis.UniversalClient) (ahead time.Duration, err error) {
	quickest := time.Duration(-1)
	for range clockSamples {
		began := time.Now()
		theirs, err := rdb.Time(ctx).Result()
		if err != nil {
			return 0, err
		}
		if trip := time.Since(began); quickest < 0 || trip < quickest {
			quickest, ahead = trip, began.Add(trip/2).Sub(theirs)
		}
	}
	return ahead, nil
}
