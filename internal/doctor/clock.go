package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redisinfo"
)

// The clock of this machine may be off from Redis's by so much. asynq compares
// times that workers and applications wrote by their own clocks.
const (
	clockWarning = 500 * time.Millisecond
	clockLimit   = 3 * time.Second
)

func askClock(ctx context.Context, masters []redisinfo.Master) finding {
	clocks, err := askEach(ctx, masters, measureClock)
	if err != nil {
		return failedBy(err, "let Redis answer TIME")
	}
	worst := 0
	for i, ahead := range clocks {
		if ahead.Abs() > clocks[worst].Abs() {
			worst = i
		}
	}
	return judgeClock(masters[worst].Addr, clocks[worst])
}

// judgeClock judges the clock that is off the most. The address is "" if there is
// only one.
func judgeClock(addr string, ahead time.Duration) finding {
	f := finding{OK, "this machine's clock is " + brief(ahead.Abs()) + " ahead of that of Redis", ""}
	if addr != "" {
		f.detail += " at " + addr + ", which is off the most"
	}
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
