//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

const (
	// recoveryMost is for how long, after the faults, outcomes may be on their way:
	// MarkSign's trouble has made the pauses between polls longer, and a session whose
	// person never acts has to come to its deadline.
	recoveryMost = 30 * time.Second
	settleMost   = 50 * time.Second
)

// settle waits until everything has ended, with the help of an operator who runs
// the tasks of the slow queues early.
func (s *stage) settle() {
	s.healed = time.Now()
	s.say("everything is mended")
	for i, sl := range s.slots {
		if p, _ := sl.now(); !p.alive() {
			s.t.Errorf("%s ended by itself", p.name)
			s.startWorker(i)
		}
	}
	happens(time.Minute, func() bool { return s.receiver.underWay("") == 0 })
	var hurried time.Time
	if happens(settleMost, func() bool {
		if time.Since(hurried) > time.Second {
			s.hurry()
			hurried = time.Now()
		}
		told, ended := s.standing()
		if told && s.recovery == 0 {
			s.recovery = time.Since(s.healed)
		}
		return told && ended && len(s.unfinished()) == 0
	}) {
		s.say("everything has ended")
		return
	}
	s.say("not everything has ended")
	for _, task := range s.unfinished() {
		s.t.Errorf("%s %s is %s %v after the faults, due in %v: %s",
			task.Type, task.ID, task.State, time.Since(s.healed), time.Until(task.NextProcessAt), task.LastErr)
	}
}

// hurry runs what webhook:deliver and session:remove wait with, as an operator
// does in asynqmon.
func (s *stage) hurry() {
	for _, queue := range []string{queue.Deliver, queue.Remove} {
		for _, run := range []func(string) (int, error){s.tasks.RunAllRetryTasks, s.tasks.RunAllScheduledTasks} {
			if _, err := run(queue); err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
				s.say("hurrying %s: %v", queue, err)
			}
		}
	}
}

// standing reports whether every session's outcome is told, and whether it is
// removed. What Redis lost is not waited for.
func (s *stage) standing() (told, ended bool) {
	pipe := s.rdb.Pipeline()
	var records []*redis.SliceCmd
	for _, v := range s.plan.visits {
		if !s.admission(v.token).lost {
			records = append(records, pipe.HMGet(s.ctx, recordKey(v.token), "state", "removal"))
		}
	}
	if _, err := pipe.Exec(s.ctx); err != nil {
		return false, false
	}
	told, ended = true, true
	for _, r := range records {
		state, _ := r.Val()[0].(string)
		removal, _ := r.Val()[1].(string)
		told = told && (state == string(outcome.Delivered) || state == string(outcome.GivenUp))
		ended = ended && (removal == string(outcome.Removed) || removal == string(outcome.RemovedUnknown))
	}
	return told, ended
}

func recordKey(token string) string { return "identwatch:default:" + token }

func (s *stage) admission(token string) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.taken[token]
}

// examine holds what is left against the promises, and adds to the summary.
func (s *stage) examine(total *tally) {
	s.checkSessions(total)
	s.checkLeftovers()
	for _, sl := range s.slots {
		p, _ := sl.now()
		s.stopWorker(p)
	}
	s.checkNothingPersonal()
	for _, err := range s.receiver.refused() {
		s.t.Errorf("the receiver got a request that it cannot accept: %v", err)
	}
	if s.recovery > recoveryMost {
		s.t.Errorf("the outcomes were told %v after the faults, want %v", s.recovery, recoveryMost)
	}
	s.t.Logf("recovered within %v", s.recovery)
	total.add(s)
	if s.t.Failed() {
		s.t.Logf("what happened:\n%s", s.tell())
	}
}

// checkLeftovers demands that Redis holds nothing that waits, runs or is sealed. A
// task that is just being ended moves between asynq's lists, so it is given a moment.
func (s *stage) checkLeftovers() {
	var left []string
	happens(time.Minute, func() bool {
		left = s.leftovers()
		return len(left) == 0
	})
	for _, what := range left {
		s.t.Error(what)
	}
}

func (s *stage) leftovers() (left []string) {
	for _, queue := range []string{queue.Follow, queue.Deliver, queue.Remove} {
		prefix := "asynq:{" + queue + "}:"
		if leases := s.rdb.ZRange(s.ctx, prefix+"lease", 0, -1).Val(); len(leases) > 0 {
			left = append(left, fmt.Sprintf("asynq's leases of %s are left: %v", queue, leases))
		}
		completed := s.rdb.ZRange(s.ctx, prefix+"completed", 0, -1).Val()
		for _, key := range s.keys(prefix + "t:*") {
			if id := strings.TrimPrefix(key, prefix+"t:"); !slices.Contains(completed, id) {
				left = append(left, fmt.Sprintf("the task %s of %s is not completed, and says that it is %q\n%s",
					id, queue, s.rdb.HGet(s.ctx, key, "state").Val(), s.history(id)))
			}
		}
	}
	for _, key := range s.keys("identwatch:*:sealed") {
		token := strings.TrimSuffix(strings.TrimPrefix(key, recordKey("")), ":sealed")
		if a := s.taken[token]; a == nil || !a.gone || s.plan.releases.most(redeliveryWindow) == 0 {
			left = append(left, fmt.Sprintf("a sealed result is left: %s, %v", key, s.rdb.HGetAll(s.ctx, recordKey(token)).Val()))
		}
	}
	return left
}

func redeliveryWindow(s settings) time.Duration { return s.redelivery }

func (s *stage) keys(pattern string) []string {
	var all []string
	keys := s.rdb.Scan(s.ctx, 0, pattern, 1000).Iterator()
	for keys.Next(s.ctx) {
		all = append(all, keys.Val())
	}
	if err := keys.Err(); err != nil {
		s.t.Error(err)
	}
	return all
}
