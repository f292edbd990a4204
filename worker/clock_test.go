package worker

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

// A worker's clock was ahead, stepped back, and the worker lives, or has died.
func TestClock_AStepBackKeepsNoSessionWaiting(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprint("the worker dies ", dies), func(t *testing.T) {
			inWorld(t, func(w *world) {
				first := w.start()
				w.session("a", confirming(2*time.Minute))
				time.Sleep(15 * time.Second)
				if dies {
					first.cut()
				}
				const retry = "asynq:{" + queue.Follow + "}:retry"
				w.rdb.ZIncrBy(w.ctx, retry, 3600, "default:a")
				if dies {
					w.start()
					polls := w.seen("a").Polls
					w.await("the takeover", 5*time.Second, func() bool { return w.seen("a").Polls > polls })
				}
				w.await("a due time as it should be", 5*time.Second, func() bool {
					due := w.rdb.ZScore(w.ctx, retry, "default:a").Val()
					return due > 0 && time.Until(time.Unix(int64(due), 0)) <= 10*time.Second
				})
			})
		})
	}
}

// A delivery waits for no longer than the schedule can ask for.
func TestClock_AStepBackKeepsNoDeliveryWaiting(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(1, 500)
		w.start()
		w.session("a", confirming(0))
		w.await("the hand-over", 5*time.Second, func() bool { return w.record("a").State == outcome.Handed })
		time.Sleep(time.Second)
		w.rdb.ZIncrBy(w.ctx, "asynq:{"+queue.Deliver+"}:scheduled", 8*3600, "default:a")
		w.await("the delivery", 10*time.Second, func() bool { return w.record("a").State == outcome.Delivered })
		w.checkOneStory("a")
	})
}

// scans counts how often a worker begins to read the whole key space.
type scans struct{ begun atomic.Int64 }

func (s *scans) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s *scans) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *scans) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() == "scan" && fmt.Sprint(args[1]) == "0" {
			s.begun.Add(1)
		}
		return next(ctx, cmd)
	}
}

// asynq warns all the time, as while Redis is full: the key space is read less
// and less often, and soon again after a quiet time.
func TestMend_ReadsTheKeySpaceSeldomWhileAsynqWarns(t *testing.T) {
	inWorld(t, func(w *world) {
		counter := &scans{}
		p := w.start(func(o *Options) { o.Redis.(*redis.Client).AddHook(counter) })
		warn := func(d time.Duration) (looks int64) {
			before := counter.begun.Load()
			for range d / time.Second {
				p.shards[0].repairer.Suspect()
				time.Sleep(time.Second)
			}
			return (counter.begun.Load() - before) / int64(len(p.queues))
		}
		time.Sleep(10 * time.Second)
		if looks := warn(5 * time.Minute); looks < 5 || looks > 10 {
			t.Errorf("%d looks in five minutes of warnings", looks)
		}
		time.Sleep(3 * time.Minute)
		if looks := warn(4 * time.Second); looks == 0 {
			t.Error("no look within four seconds of a new warning")
		}
	})
}

// Redis restarts without its last second, and so loses that a task in no list was
// found: it is found again in seconds, and not in ten minutes.
func TestMend_FindsAgainWhatRedisLostAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		w.session("a", confirming(time.Hour))
		lose := func() bool { return w.rdb.ZRem(w.ctx, "asynq:{"+queue.Follow+"}:retry", "default:a").Val() == 1 }
		found := func() int { return strings.Count(w.logs.String(), "made tasks run that were in no list") }
		w.await("the first loss", 5*time.Second, lose)
		p.shards[0].repairer.Suspect()
		w.await("the first mend", 10*time.Second, func() bool { return found() == 1 })
		w.await("the second loss", 5*time.Second, lose)
		w.await("the second mend", 10*time.Second, func() bool { return found() == 2 })
	})
}
