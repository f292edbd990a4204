package worker

import (
	"math/rand/v2"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// deliverySchedule is the pause after each failed post, and after the last of
// them deliveryPause again and again to the end of the window.
var deliverySchedule = []time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute,
	30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
}

const (
	deliveryPause = 6 * time.Hour
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = time.Hour
	// longestPause is the most that retryPause makes of these.
	longestPause = deliveryPause + deliveryPause/10 + time.Second
)

// rulesAttempt is the last step of the schedule, 2 min, for an event that our own
// rules refuse: a change of DNS or of the settings helps, and may come at any time.
const rulesAttempt = 3

// scheduled is the attempt that the pause after a failure is taken for. What
// failed here and not at the receiver uses up none of the schedule: a person waits.
func scheduled(attempt int, cause webhook.Cause) int {
	switch cause {
	case webhook.CauseHere:
		return 1
	case webhook.CauseRules:
		return min(attempt, rulesAttempt)
	default:
		return attempt
	}
}

// retryPause is the pause after the attempt of that number, from 1, failed. A
// receiver's Retry-After lengthens it, up to an hour. Jitter goes upward only,
// by a tenth, and a second is added because asynq cuts times to whole seconds.
func retryPause(attempt int, retryAfter time.Duration) time.Duration {
	pause := deliveryPause
	if attempt <= len(deliverySchedule) {
		pause = deliverySchedule[max(attempt, 1)-1]
	}
	pause = max(pause, min(retryAfter, maxRetryAfter))
	return jitter(pause) + time.Second
}

// jitter lengthens a pause by up to a tenth.
func jitter(pause time.Duration) time.Duration { return pause + upTo(pause/10) }

func upTo(spread time.Duration) time.Duration {
	return rand.N(spread + 1) //nolint:gosec // jitter is no secret
}
