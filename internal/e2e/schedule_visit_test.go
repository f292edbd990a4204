//go:build unix

package e2e

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
)

// admission is how a session came in.
type admission struct {
	visit
	asked     time.Time // when the call began that was the first to be accepted
	accepted  time.Time
	forgotten bool // MarkSign lost the session while it knew it
	lost      bool // Redis lost it, after it was accepted
}

// visit starts a session at MarkSign and enqueues it, as often as it needs.
func (s *stage) visit(v visit) {
	a := &admission{visit: v}
	s.mu.Lock()
	s.taken[v.token] = a
	s.mu.Unlock()
	pass(time.Until(s.begun.Add(v.enqueue)))
	s.sim.Add(v.token, v.method, v.person)
	var both sync.WaitGroup
	both.Go(func() { s.insist(s.client, a) })
	if v.twice {
		both.Go(func() { s.insist(s.second, a) })
	}
	both.Wait()
	if v.forget > 0 {
		pass(time.Until(s.begun.Add(v.forget)))
		forgotten := s.sim.Forget(v.token)
		s.mu.Lock()
		a.forgotten = forgotten
		s.mu.Unlock()
	}
}

// insist enqueues until the session is accepted. That it is in already is as good.
func (s *stage) insist(client *tasks.Client, a *admission) {
	session := tasks.Session{
		Token: a.token, Method: tasks.Method(a.method), Reference: a.reference, Checks: a.checks, StartedAt: time.Now(),
	}
	var err error
	in := happens(scheduleLength+20*time.Second, func() bool {
		asked := time.Now()
		ctx, cancel := context.WithTimeout(s.ctx, 5*time.Second)
		defer cancel()
		if err = client.Enqueue(ctx, session); err != nil && !errors.Is(err, tasks.ErrDuplicate) {
			return false
		}
		if err = s.confirmed(ctx, a.token); err != nil {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if a.accepted.IsZero() {
			a.asked, a.accepted = asked, time.Now()
		}
		return true
	})
	if !in {
		s.t.Errorf("%s could not be enqueued: %v", a.token, err)
	}
}

var errNotConfirmed = errors.New("no replica has it")

// confirmed makes sure, behind Sentinel, that a failover cannot lose the session:
// the primary has its task, and a replica too.
func (s *stage) confirmed(ctx context.Context, token string) error {
	if s.cluster == nil {
		return nil
	}
	conn := s.rdb.(*redis.Client).Conn() // never a Redis Cluster
	defer conn.Close()
	if err := conn.Set(ctx, "confirm:"+token, 1, time.Minute).Err(); err != nil {
		return err
	}
	n, err := conn.Exists(ctx, "asynq:{"+queue.Follow+"}:t:default:"+token).Result()
	if err != nil {
		return err
	}
	replicas, err := conn.Wait(ctx, 1, time.Second).Result()
	if err != nil {
		return err
	}
	if n == 0 || replicas < 1 {
		return errNotConfirmed
	}
	return nil
}
