package outcome

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
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
	from := "-inf"
	if !since.IsZero() {
		from = strconv.FormatInt(since.UnixMilli(), 10)
	}
	ids, err := s.cfg.Redis.ZRangeByScore(ctx, givenUpKey, &redis.ZRangeBy{Min: from, Max: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("the given-up deliveries: %w", err)
	}
	return ids, nil
}

// PruneGivenUp takes those of the sessions off the list of given-up deliveries whose
// sealed result is gone, so that nothing is left to deliver again.
func (s *Store) PruneGivenUp(ctx context.Context, ids []string) error {
	keys := []string{givenUpKey}
	args := make([]any, len(ids))
	for i, id := range ids {
		keys, args[i] = append(keys, Session{ID: id}.sealedKey()), id
	}
	if err := pruneGivenUpScript.Run(ctx, s.cfg.Redis, keys, args...).Err(); err != nil {
		return fmt.Errorf("the given-up deliveries: %w", err)
	}
	return nil
}
