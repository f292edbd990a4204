package lease

import (
	"context"
	"iter"

	"github.com/redis/go-redis/v9"
)

// Knows reports whether the queue has a task of that id, in whichever state.
func (q *Queue) Knows(ctx context.Context, id string) (bool, error) {
	n, err := q.redis.Exists(ctx, q.taskKey(id)).Result()
	if err != nil {
		return false, q.wrap("looking for a task", err)
	}
	return n > 0, nil
}

// Unfinished yields, in pages, the ids of the tasks that wait or run, and that
// begin with a prefix, which must not hold Redis's wildcards. It reads the whole key space.
// A task that is there from the beginning to the end comes at least once, and seldom
// twice. An error ends it.
func (q *Queue) Unfinished(ctx context.Context, prefix string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			keys, next, err := q.redis.Scan(ctx, cursor, q.taskKey(prefix)+"*", batch).Result()
			var ids []string
			if err == nil {
				ids, err = q.unfinished(ctx, keys)
			}
			if err != nil {
				yield(nil, q.wrap("scanning tasks", err))
				return
			}
			if cursor = next; len(ids) > 0 && !yield(ids, nil) {
				return
			}
		}
	}
}

// KEYS: tasks. Answers the places, from 1, of those that wait or run.
var unfinishedScript = redis.NewScript(`
local places = {}
local unfinished = {pending = true, active = true, scheduled = true, retry = true}
for i, key in ipairs(KEYS) do
  if unfinished[redis.call('HGET', key, 'state') or ''] then places[#places + 1] = i end
end
return places`)

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
