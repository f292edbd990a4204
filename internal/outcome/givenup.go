package outcome

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	sess "github.com/identwatch/identwatch/internal/session"
)

// GiveUp ends the delivery without a receiver's word. The sealed result stays
// for the redelivery window, counted from the first time, and the task, the
// payload of webhook:deliver, stays with it.
func (s *Store) GiveUp(ctx context.Context, session Session, claimant, why string, task []byte) (Change, error) {
	return s.run(ctx, s.cfg.Redis, giveUpScript, session, session.ID, claimant, why, s.cfg.RedeliveryWindow.Milliseconds(), task)
}

// Redeliver asks for a given-up event to be posted once more. It is not
// applied if the event was not given up, or its sealed result is erased.
func (s *Store) Redeliver(ctx context.Context, session Session) (Change, error) {
	return s.run(ctx, s.cfg.Redis, redeliverScript, session)
}

// GivenUp returns the ids of the sessions whose delivery was given up since a
// time, by Redis's clock, oldest first; with the zero time, all whose sealed
// result may still be there. Those that are being redelivered are among them.
func (s *Store) GivenUp(ctx context.Context, since time.Time) ([]string, error) {
	var all []redis.Z
	for _, shard := range s.cfg.Shards.All() {
		found, err := s.givenUpOf(ctx, shard, since)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b redis.Z) int { return cmp.Compare(a.Score, b.Score) })
	return members(all), nil
}

// GivenUpOf is GivenUp for one shard and all times.
func (s *Store) GivenUpOf(ctx context.Context, shard sess.Shard) ([]string, error) {
	found, err := s.givenUpOf(ctx, shard, time.Time{})
	return members(found), err
}

func (s *Store) givenUpOf(ctx context.Context, shard sess.Shard, since time.Time) ([]redis.Z, error) {
	from := "-inf"
	if !since.IsZero() {
		from = strconv.FormatInt(since.UnixMilli(), 10)
	}
	found, err := s.cfg.Redis.ZRangeByScoreWithScores(ctx, shard.Key(givenUp), &redis.ZRangeBy{Min: from, Max: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("the given-up deliveries: %w", err)
	}
	return found, nil
}

func members(found []redis.Z) []string {
	ids := make([]string, len(found))
	for i, z := range found {
		ids[i], _ = z.Member.(string)
	}
	return ids
}

// PruneGivenUp takes those of the sessions off the list of given-up deliveries whose
// sealed result is gone, so that nothing is left to deliver again.
func (s *Store) PruneGivenUp(ctx context.Context, ids []string) error {
	for batch := range s.batches(ids, len(ids)) {
		keys := []string{s.cfg.Shards.Of(batch[0]).Key(givenUp)}
		args := make([]any, len(batch))
		for i, id := range batch {
			keys, args[i] = append(keys, s.sealedKey(id)), id
		}
		if err := pruneGivenUpScript.Run(ctx, s.cfg.Redis, keys, args...).Err(); err != nil {
			return fmt.Errorf("the given-up deliveries: %w", err)
		}
	}
	return nil
}
