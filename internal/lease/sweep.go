package lease

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redisnode"
)

// A worker that lives renews asynq's own lease of an active task every 5 s to
// 30 s, so it never falls under 25 s but for a slow Redis or clocks apart.
// The threshold leaves a dead worker's tasks no longer than 10 s, a sweep and a
// round trip.
const staleLease = 21 * time.Second

// asynq's own lease lasts 30 s from when it is renewed. clockSlack is how far
// clocks may be apart before a time in the future counts as one that a clock
// left there when it stepped back.
const (
	asynqLease = 30 * time.Second
	clockSlack = time.Minute
)

// Sweep puts active tasks back whose worker is dead: asynq's lease is missing,
// as after a failover (hibiken/asynq#1144), or was not renewed for 9 s. It
// returns how many it put back. A task that runs all the same is run twice, so
// handlers must bear that.
func (q *Queue) Sweep(ctx context.Context) (int, error) {
	back, err := sweepScript.Run(ctx, q.redis,
		[]string{q.key("active"), q.key("lease"), q.key("pending")}, q.taskPrefix(),
		seconds(staleLease), seconds(asynqLease+clockSlack), seconds(asynqLease)).Int()
	if err != nil {
		return 0, q.wrap("sweeping active tasks", err)
	}
	return back, nil
}

// BringBack makes tasks due that wait for longer than the longest pause that
// anybody asks for, and a minute: a clock stepped back since. They become due within the
// spread, at least a second. Scheduled tasks are among them only if asked for. It
// returns how many it brought back, a batch of each set at most.
func (q *Queue) BringBack(ctx context.Context, longest, spread time.Duration, scheduled bool) (int, error) {
	sets := []string{q.key("retry")}
	if scheduled {
		sets = append(sets, q.key("scheduled"))
	}
	back, err := bringBackScript.Run(ctx, q.redis, sets, time.Now().Unix(), seconds(longest+clockSlack), seconds(max(spread, time.Second)), batch).Int()
	if err != nil {
		return 0, q.wrap("bringing tasks back", err)
	}
	return back, nil
}

// MendOrphans finds tasks that are in no list of asynq's, as when Redis lost a
// list, and makes them run. It returns how many. It reads the whole key space.
func (q *Queue) MendOrphans(ctx context.Context) (int, error) {
	listed, err := q.listed(ctx)
	if err != nil {
		return 0, q.wrap("listing tasks", err)
	}
	mended := 0
	prefix := q.taskPrefix()
	node, err := redisnode.Of(ctx, q.redis, prefix)
	if err != nil {
		return 0, q.wrap("scanning tasks", err)
	}
	keys := node.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for keys.Next(ctx) {
		id := keys.Val()[len(prefix):]
		if listed[id] {
			continue
		}
		n, err := mendScript.Run(ctx, q.redis, []string{
			q.taskKey(id), q.key("pending"), q.key("active"),
			q.key("scheduled"), q.key("retry"), q.key("archived"), q.key("completed"),
		}, id).Int()
		if err != nil {
			return mended, q.wrap("mending a task", err)
		}
		mended += n
	}
	if err := keys.Err(); err != nil {
		return mended, q.wrap("scanning tasks", err)
	}
	return mended, nil
}

// listed are the ids that asynq's lists hold. A task that moves meanwhile is
// looked at again by the script.
func (q *Queue) listed(ctx context.Context) (map[string]bool, error) {
	pipe := q.redis.Pipeline()
	var lists []*redis.StringSliceCmd
	for _, list := range []string{"pending", "active"} {
		lists = append(lists, pipe.LRange(ctx, q.key(list), 0, -1))
	}
	for _, set := range []string{"scheduled", "retry", "archived", "completed"} {
		lists = append(lists, pipe.ZRange(ctx, q.key(set), 0, -1))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	ids := make(map[string]bool)
	for _, list := range lists {
		for _, id := range list.Val() {
			ids[id] = true
		}
	}
	return ids, nil
}
