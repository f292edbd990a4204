//go:build unix

package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/queue"
)

// growth is how long Redis's append-only file was, and when.
type growth struct {
	mu      sync.Mutex
	samples []grown
}

type grown struct {
	at   time.Time
	size int64
}

// at is how long the file was at a time at the latest.
func (g *growth) at(when time.Time) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	size := int64(0)
	for _, s := range g.samples {
		if s.at.After(when) {
			break
		}
		size = s.size
	}
	return size
}

// appendOnly is the file that Redis appends to.
func (s *stage) appendOnly() string {
	path := newestAppendOnly(s.redis.Dir)
	if path == "" {
		s.t.Error("Redis has no append-only file")
	}
	return path
}

func newestAppendOnly(dir string) string {
	files, _ := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof"))
	if len(files) == 0 {
		return ""
	}
	return files[len(files)-1]
}

// watchRedisFiles notes the length of the append-only file now and then.
func (s *stage) watchRedisFiles() (stop func()) {
	if s.plan.redis != rollback {
		return func() {}
	}
	path := s.appendOnly()
	return repeat(20*ms, func() {
		if info, err := os.Stat(path); err == nil {
			s.aof.mu.Lock()
			s.aof.samples = append(s.aof.samples, grown{time.Now(), info.Size()})
			s.aof.mu.Unlock()
		}
	})
}

// repeat does something again and again until the function that it returns is
// called.
func repeat(every time.Duration, do func()) (stop func()) {
	quit := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				do()
			}
		}
	}()
	return func() { close(quit); <-done }
}

// restartRedis kills Redis, which may not lose anything by it with appendfsync
// always. With everysec it loses little: what a process wrote outlives it, but on a
// slow disk Redis keeps what it would write in memory, new sessions among it.
func (s *stage) restartRedis(f planned, _ *rand.Rand) {
	s.redisBusy.Lock()
	defer s.redisBusy.Unlock()
	s.describe(f, "kill -9")
	s.count("Redis restarts")
	s.noteUnwritten()
	away := s.note(redisAway, "")
	s.redis.Kill()
	if s.plan.redis == everysec {
		s.lostSince(away.from.Add(-2*time.Second), nil)
		kept, err := os.ReadFile(s.appendOnly())
		if err != nil {
			s.t.Error(err)
			return
		}
		s.loseAdmissions(kept, away.from)
	}
	s.lasting(f, s.redis.Restart, away)
}

// noteUnwritten notes that a Redis that is killed now loses more than its file
// does: while the disk is slow, everysec keeps what it would append in memory.
func (s *stage) noteUnwritten() {
	const longest = 4 * time.Second
	info := s.rdb.Info(s.ctx, "persistence").Val()
	if !strings.Contains(info, "aof_buffer_length:0\r") || !strings.Contains(info, "aof_pending_bio_fsync:0\r") {
		s.lostSince(time.Now().Add(-longest), nil)
	}
}

// lostSince notes that Redis may have lost what was written from then to now.
func (s *stage) lostSince(from time.Time, tail []byte) {
	lost := s.note(redisLost, "")
	s.chronicle.mu.Lock()
	defer s.chronicle.mu.Unlock()
	lost.from, lost.to, lost.tail = from, time.Now(), tail
}

// rollRedisBack takes from Redis what everysec may lose in a power cut: up to the
// last second of its append-only file.
func (s *stage) rollRedisBack(f planned, dice *rand.Rand) {
	s.redisBusy.Lock()
	defer s.redisBusy.Unlock()
	span := 100*ms + time.Duration(dice.Int64N(int64(900*time.Millisecond)))
	s.noteUnwritten()
	away := s.note(redisAway, "")
	s.redis.Kill()
	from := away.from.Add(-span)
	path := s.appendOnly()
	before, err := os.ReadFile(path)
	if err != nil {
		s.t.Error(err)
		return
	}
	size := min(s.aof.at(from), int64(len(before)))
	kept, tail := before[:size], before[size:]
	if err := os.Truncate(path, size); err != nil {
		s.t.Error(err)
	}
	s.lostSince(from.Add(-50*ms), tail)
	gone := s.loseAdmissions(kept, away.from)
	s.describe(f, "%v, %d bytes of %d, and %d sessions whole", span, len(tail), len(before), gone)
	s.count("lost-second rollbacks")
	s.lasting(f, s.redis.Restart, away)
}

// loseAdmissions notes which accepted sessions Redis has no word of any more.
func (s *stage) loseAdmissions(kept []byte, at time.Time) (gone int) {
	text := string(kept)
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, a := range s.taken {
		if !a.accepted.IsZero() && a.asked.Before(at) && !strings.Contains(text, token) {
			a.lost = true
			gone++
		}
	}
	return gone
}

// refuseWrites makes Redis take no writes, as a replica or with too few replicas.
func (s *stage) refuseWrites(f planned, dice *rand.Rand) {
	s.redisBusy.Lock()
	defer s.redisBusy.Unlock()
	s.count("Redis refuses")
	in := s.note(redisRefused, "")
	if s.cluster != nil || dice.IntN(2) == 0 {
		s.describe(f, "too few replicas")
		s.command("CONFIG", "SET", "min-replicas-to-write", "5")
		s.lasting(f, func() { s.command("CONFIG", "SET", "min-replicas-to-write", "0") }, in)
		return
	}
	s.describe(f, "a replica of nobody")
	s.command("REPLICAOF", "127.0.0.1", "1")
	s.lasting(f, func() { s.command("REPLICAOF", "NO", "ONE") }, in)
}

func (s *stage) fillRedis(f planned, _ *rand.Rand) {
	s.redisBusy.Lock()
	defer s.redisBusy.Unlock()
	s.describe(f, "maxmemory 1")
	s.count("Redis full")
	in := s.note(redisRefused, "")
	s.command("CONFIG", "SET", "maxmemory", "1")
	s.lasting(f, func() { s.command("CONFIG", "SET", "maxmemory", "0") }, in)
}

func (s *stage) slowRedis(f planned, dice *rand.Rand) {
	s.redisBusy.Lock()
	defer s.redisBusy.Unlock()
	s.count("Redis slow")
	in := s.note(redisRefused, "")
	how := dice.IntN(3)
	if s.cluster != nil {
		how = 2 // a primary that answers no Sentinel, or takes no PUBLISH of it, is failed over, which is another fault
	}
	switch how {
	case 0:
		s.describe(f, "CLIENT PAUSE ALL")
		s.command("CLIENT", "PAUSE", strconv.Itoa(int(f.lasts/ms)), "ALL")
	case 1:
		s.describe(f, "CLIENT PAUSE WRITE")
		s.command("CLIENT", "PAUSE", strconv.Itoa(int(f.lasts/ms)), "WRITE")
	default:
		s.describe(f, "sleeps again and again")
		stop := repeat(150*ms, func() { s.rdb.Do(s.ctx, "DEBUG", "SLEEP", "0.1") })
		s.lasting(f, stop, in)
		return
	}
	s.lasting(f, func() {}, in)
}

// command tells Redis to change how it is. It insists, for the fault has to end.
func (s *stage) command(args ...string) {
	list := make([]any, len(args))
	for i, a := range args {
		list[i] = a
	}
	var err error
	if !happens(time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
		defer cancel()
		err = s.rdb.Do(ctx, list...).Err()
		return err == nil
	}) {
		s.t.Errorf("%v: %v", args, err)
	}
}

// evictLeases takes asynq's leases of active tasks away, as a Redis does that
// evicts, or a failover (hibiken/asynq#1144).
func (s *stage) evictLeases(f planned, dice *rand.Rand) {
	s.describe(f, "ZREM")
	in := s.note(leasesGone, "")
	stop := repeat(100*ms, func() {
		for _, queue := range []string{queue.Follow, queue.Deliver, queue.Remove} {
			key := "asynq:{" + queue + "}:lease"
			for _, id := range s.rdb.ZRange(s.ctx, key, 0, -1).Val() {
				if dice.IntN(2) == 0 && s.rdb.ZRem(s.ctx, key, id).Val() > 0 {
					s.count("asynq leases taken away")
				}
			}
		}
	})
	s.lasting(f, stop, in)
}
