package lease

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// batch is how many tasks one command or script handles, so that Redis answers
// others in between.
const batch = 500

// Queue gives access to one asynq queue. It is safe for concurrent use.
type Queue struct {
	redis redis.UniversalClient
	name  string
}

// NewQueue makes a Queue.
func NewQueue(rdb redis.UniversalClient, name string) *Queue {
	return &Queue{rdb, name}
}

// Name is the queue's name.
func (q *Queue) Name() string { return q.name }

func (q *Queue) key(suffix string) string { return "asynq:{" + q.name + "}:" + suffix }
func (q *Queue) taskKey(id string) string { return q.key("t:" + id) }

// TaskKey is the hash of a task.
func (q *Queue) TaskKey(id string) string { return q.taskKey(id) }

func (q *Queue) taskPrefix() string { return q.key("t:") }
func (q *Queue) wrap(what string, err error) error {
	return fmt.Errorf("%s in queue %s: %w", what, q.name, err)
}

// Register makes asynq's tools know the queue before its first task.
func (q *Queue) Register(ctx context.Context) error {
	if err := q.redis.SAdd(ctx, "asynq:queues", q.name).Err(); err != nil {
		return q.wrap("registering", err)
	}
	return nil
}

// Status says what became of a task whose lease was to be renewed.
type Status int

// What Renew finds.
const (
	Renewed   Status = iota // it waits in the retry set, due at the new time or later
	Elsewhere               // it is about to run, or running
	Gone                    // it was deleted, archived or finished
)

// Renew moves the due times of waiting tasks to until, in whole seconds as asynq
// keeps them, and never back, unless they are over a minute later: the caller, who
// holds the tasks, set no such time, but a clock that stepped back since. It returns
// one Status for each id.
func (q *Queue) Renew(ctx context.Context, ids []string, until time.Time) ([]Status, error) {
	statuses := make([]Status, 0, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), batch)
		found, err := q.renewBatch(ctx, ids[:n], until)
		if err != nil {
			return nil, q.wrap("renewing leases", err)
		}
		statuses = append(statuses, found...)
		ids = ids[n:]
	}
	return statuses, nil
}

func (q *Queue) renewBatch(ctx context.Context, ids []string, until time.Time) ([]Status, error) {
	due := float64(until.Unix())
	members := make([]redis.Z, len(ids))
	for i, id := range ids {
		members[i] = redis.Z{Score: due, Member: id}
	}
	pipe := q.redis.Pipeline()
	pipe.ZAddArgs(ctx, q.key("retry"), redis.ZAddArgs{XX: true, GT: true, Members: members})
	scores := pipe.Do(ctx, zmscore(q.key("retry"), ids)...)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	found, err := scores.Slice()
	if err != nil {
		return nil, err
	}
	statuses := make([]Status, len(ids))
	var missing []int
	var late []redis.Z
	for i, score := range found {
		switch {
		case score == nil:
			missing = append(missing, i)
		case number(score) > due+clockSlack.Seconds():
			late = append(late, members[i])
		}
	}
	if len(late) > 0 {
		if err := q.redis.ZAddArgs(ctx, q.key("retry"), redis.ZAddArgs{XX: true, LT: true, Members: late}).Err(); err != nil {
			return nil, err
		}
	}
	return statuses, q.findMissing(ctx, ids, missing, statuses)
}

// number reads a score, which comes as text from a Redis that speaks RESP2.
func number(score any) float64 {
	switch s := score.(type) {
	case float64:
		return s
	case string:
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f
		}
	}
	return 0
}

// zmscore is written out because go-redis reads a missing score as zero.
func zmscore(key string, ids []string) []any {
	args := make([]any, 0, len(ids)+2)
	args = append(args, "ZMSCORE", key)
	for _, id := range ids {
		args = append(args, id)
	}
	return args
}

// findMissing tells tasks that run from those that are gone.
func (q *Queue) findMissing(ctx context.Context, ids []string, missing []int, statuses []Status) error {
	if len(missing) == 0 {
		return nil
	}
	pipe := q.redis.Pipeline()
	states := make([]*redis.SliceCmd, len(missing))
	for i, place := range missing {
		states[i] = pipe.HMGet(ctx, q.taskKey(ids[place]), "state")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	for i, place := range missing {
		statuses[place] = Elsewhere
		switch states[i].Val()[0] {
		case nil, "archived", "completed":
			statuses[place] = Gone
		}
	}
	return nil
}

// Release makes waiting tasks run now, before others that are pending, as
// asynq's Inspector.RunTask does for one. It returns those that are running at
// this moment, to be released again; tasks that are pending, scheduled, finished or
// gone are left alone.
func (q *Queue) Release(ctx context.Context, ids []string) (active []string, err error) {
	return q.release(ctx, ids, q.key("pending"), q.key("retry"))
}

// ReleaseAll is Release for tasks of which some may be scheduled.
func (q *Queue) ReleaseAll(ctx context.Context, ids []string) (active []string, err error) {
	return q.release(ctx, ids, q.key("pending"), q.key("retry"), q.key("scheduled"))
}

func (q *Queue) release(ctx context.Context, ids []string, keys ...string) (active []string, err error) {
	for len(ids) > 0 {
		n := min(len(ids), batch)
		found, err := releaseScript.Run(ctx, q.redis, keys, scriptArgs(q.taskPrefix(), ids[:n])...).StringSlice()
		if err != nil {
			return nil, q.wrap("releasing tasks", err)
		}
		active = append(active, found...)
		ids = ids[n:]
	}
	return active, nil
}

// Postpone sets when a waiting task is due, in whole seconds as asynq keeps them,
// be that sooner or later. Only a task that is Renewed was changed.
func (q *Queue) Postpone(ctx context.Context, id string, until time.Time) (Status, error) {
	state, err := postponeScript.Run(ctx, q.redis, []string{q.key("retry"), q.key("scheduled"), q.taskKey(id)}, id, until.Unix()).Text()
	if err != nil {
		return Gone, q.wrap("postponing a task", err)
	}
	switch state {
	case "waits":
		return Renewed, nil
	case "pending", "active":
		return Elsewhere, nil
	}
	return Gone, nil
}

func scriptArgs(first string, rest []string) []any {
	args := make([]any, 0, len(rest)+1)
	args = append(args, first)
	for _, s := range rest {
		args = append(args, s)
	}
	return args
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
