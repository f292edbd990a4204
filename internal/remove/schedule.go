package remove

import (
	"math/rand/v2"
	"time"
)

// schedule is the pause after each failed DELETE, and after the last of them
// longestPause again and again to the end of the window.
var schedule = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute,
	30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
}

const (
	longestPause = 6 * time.Hour
	// maxRetryAfter bounds what MarkSign may ask for.
	maxRetryAfter = time.Hour
)

// LongestPause is the most that a task of session:remove waits for.
const LongestPause = longestPause + longestPause/10 + time.Second

// pause is the pause after the failed DELETE of that number, from 1. MarkSign's
// Retry-After lengthens it, up to an hour. Jitter goes upward only, by a tenth, and
// a second is added because asynq cuts times to whole seconds.
func pause(removals int, retryAfter time.Duration) time.Duration {
	after := longestPause
	if removals <= len(schedule) {
		after = schedule[max(removals, 1)-1]
	}
	after = max(after, min(retryAfter, maxRetryAfter))
	return after + upTo(after/10) + time.Second
}

func upTo(spread time.Duration) time.Duration {
	return rand.N(spread + 1) //nolint:gosec // jitter is no secret
}
