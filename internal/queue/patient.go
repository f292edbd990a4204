package queue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/insist"
)

// patient makes asynq wait if Redis refuses a script, as a full or read-only one
// does: asynq itself would ask again at once, forever. It also makes asynq wait
// when Redis is back, so that notes are written before tasks run that would act on
// their absence.
type patient struct {
	redis.UniversalClient
	refused *atomic.Pointer[time.Time] // when Redis last refused a script
}

func newPatient(rdb redis.UniversalClient) patient {
	return patient{rdb, new(atomic.Pointer[time.Time])}
}

const (
	refusalPause = 100 * time.Millisecond
	// notesFirst is from the last refusal to the first task. Notes are tried again
	// each insist.LongestPause.
	notesFirst = refusalPause + 3*insist.LongestPause
)

// EvalSha is what every script of asynq's runs by.
func (p patient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	cmd := p.UniversalClient.EvalSha(ctx, sha, keys, args...)
	if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") {
		now := time.Now()
		p.refused.Store(&now)
		pauseFor(ctx, refusalPause)
	} else if at := p.refused.Load(); at != nil {
		pauseFor(ctx, time.Until(at.Add(notesFirst)))
	}
	return cmd
}

func pauseFor(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
