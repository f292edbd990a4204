package outcome

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// RemovalDelay is between the note that an event was delivered, or will not be,
// and the DELETE: longer than what Redis with appendfsync everysec can lose, so
// that a Redis that lost the note finds the session still at MarkSign.
const RemovalDelay = 2 * time.Second

// Removing reads the note back that allows a DELETE. It is not applied if
// the record asks for none, or its RemovalLeft is not over, which for an outcome of
// KeptReason is the RedeliveryWindow.
//
// With waitFor above zero it also waits until at least one replica has the
// note, or answers ErrNotReplicated after that time.
func (s *Store) Removing(ctx context.Context, session Session, waitFor time.Duration) (Change, error) {
	if waitFor <= 0 {
		return s.removing(ctx, s.cfg.Redis, session)
	}
	return s.removingReplicated(ctx, session, waitFor)
}

func (s *Store) removing(ctx context.Context, rdb redis.Scripter, session Session) (Change, error) {
	return s.run(ctx, rdb, removingScript, session, RemovalDelay.Milliseconds(), s.cfg.RedeliveryWindow.Milliseconds())
}

// FailedRemoval says why a session is not removed yet.
type FailedRemoval struct {
	Why     string // nothing personal
	Sent    bool   // the DELETE went out
	Refused bool   // MarkSign answered it with an error body
}

// FailRemoval notes that a removal failed, and leaves the next to session:remove.
func (s *Store) FailRemoval(ctx context.Context, session Session, failed FailedRemoval) (Change, error) {
	return s.run(ctx, s.cfg.Redis, failRemovalScript, session, failed.Why, flag(failed.Sent), flag(failed.Refused))
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// EndRemoval notes how the removal ended: Removed or RemovedUnknown.
func (s *Store) EndRemoval(ctx context.Context, session Session, removal Removal) (Change, error) {
	return s.run(ctx, s.cfg.Redis, endRemovalScript, session, string(removal))
}

// Proof is what the hash of a record must still say, and for how long it is kept then.
type Proof struct {
	Key, Field, Value string
	Kept              time.Duration
}

// Removed is how the removal of a session ended whose record is r. A delivered session's
// record is kept for as long from then on as Settle keeps it.
func (s *Store) Removed(session Session, r Record) Proof {
	return Proof{Key: s.key(session.ID), Field: "removal", Value: string(r.Removal), Kept: session.Retention + late}
}
