package worker

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// patient makes asynq wait where Redis refuses a script, as a full or read-only
// one does: asynq itself would ask again at once, for ever.
type patient struct {
	redis.UniversalClient
}

const refusalPause = 100 * time.Millisecond

// EvalSha is what every script of asynq's runs by.
func (p patient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	cmd := p.UniversalClient.EvalSha(ctx, sha, keys, args...)
	if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") {
		select {
		case <-ctx.Done():
		case <-time.After(refusalPause):
		}
	}
	return cmd
}
