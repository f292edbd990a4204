package lease

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redisnode"
)

// ResultField is the field of a task's hash, see [Queue.TaskKey], that the run writes which
// ends the task. asynq keeps it if the task is run again.
const ResultField = "result"

// WentFurther reports whether a session's story went further than its first task: that
// task has a result, which only the run writes that ends it, or one of the later queues
// has a task of that id, in whichever state. It asks all at once.
func WentFurther(ctx context.Context, first Queues, later []Queues, id string) (bool, error) {
	task := first.Of(id)
	pipe := task.redis.Pipeline()
	ended := pipe.HExists(ctx, task.taskKey(id), ResultField)
	found := make([]*redis.IntCmd, len(later))
	for i, queues := range later {
		found[i] = pipe.Exists(ctx, queues.Of(id).taskKey(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return false, fmt.Errorf("looking for a task: %w", err)
	}
	return ended.Val() || slices.ContainsFunc(found, func(n *redis.IntCmd) bool { return n.Val() > 0 }), nil
}

// Unfinished yields, in pages, the ids of the tasks that wait or run, and that
// begin with a prefix, which must not hold Redis's wildcards. It reads the whole key space.
// A task that is there from the beginning to the end comes at least once, and seldom
// twice. An error ends it.
func (q *Queue) Unfinished(ctx context.Context, prefix string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		node, err := redisnode.Of(ctx, q.redis, q.taskKey(prefix))
		for cursor, more := uint64(0), err == nil; more; more = cursor != 0 {
			var keys, ids []string
			if keys, cursor, err = node.Scan(ctx, cursor, q.taskKey(prefix)+"*", batch).Result(); err == nil {
				ids, err = q.unfinished(ctx, keys)
			}
			if err != nil {
				break
			}
			if len(ids) > 0 && !yield(ids, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, q.wrap("scanning tasks", err))
		}
	}
}

func (q *Queue) unfinished(ctx context.Context, keys []string) ([]string, error) {
	places, err := unfinishedScript.Run(ctx, q.redis, keys).Int64Slice()
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(places))
	for i, place := range places {
		ids[i] = keys[place-1][len(q.taskPrefix()):]
	}
	return ids, nil
}
