package lease

import (
	"context"
	"iter"
)

// CountKnown is how many of the ids the queue has a task of, in whichever state.
// No id may be there twice.
func (q *Queue) CountKnown(ctx context.Context, ids []string) (int, error) {
	known := 0
	for len(ids) > 0 {
		n := min(len(ids), batch)
		keys := make([]string, n)
		for i, id := range ids[:n] {
			keys[i] = q.taskKey(id)
		}
		found, err := q.redis.Exists(ctx, keys...).Result()
		if err != nil {
			return 0, q.wrap("looking for tasks", err)
		}
		known += int(found)
		ids = ids[n:]
	}
	return known, nil
}

// Outstanding yields, in pages, the ids of the tasks that wait or run, as asynq's
// own lists have them. It reads these lists and no other key. A task that changes
// lists meanwhile may be missed or come twice; every other comes once, unless Redis
// changes the size of a set's table. An error ends it.
func (q *Queue) Outstanding(ctx context.Context) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for _, pages := range []iter.Seq2[[]string, error]{
			q.members(ctx, "retry"), q.members(ctx, "scheduled"), q.elements(ctx, "active"), q.elements(ctx, "pending"),
		} {
			for ids, err := range pages {
				if err != nil {
					yield(nil, q.wrap("reading the lists", err))
					return
				}
				if !yield(ids, nil) {
					return
				}
			}
		}
	}
}

// members yields a set's in pages.
func (q *Queue) members(ctx context.Context, set string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for cursor, more := uint64(0), true; more; more = cursor != 0 {
			found, next, err := q.redis.ZScan(ctx, q.key(set), cursor, "", batch).Result()
			ids := make([]string, 0, len(found)/2)
			for i := 0; i < len(found); i += 2 { // each member is followed by its score
				ids = append(ids, found[i])
			}
			if !yield(ids, err) || err != nil {
				return
			}
			cursor = next
		}
	}
}

// elements yields a list's in pages, from the end that is taken from: what is
// added at the other one moves nothing.
func (q *Queue) elements(ctx context.Context, list string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for last := int64(-1); ; last -= batch {
			ids, err := q.redis.LRange(ctx, q.key(list), last-batch+1, last).Result()
			if !yield(ids, err) || err != nil || len(ids) < batch {
				return
			}
		}
	}
}
