package deliver

import (
	"math/rand/v2"
	"time"

	"github.com/identwatch/identwatch/webhook"
)

// schedule is the pause after each failed post, and after the last of
// them lastPause again and again to the end of the window.
var schedule = []time.Duration{
	time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute,
	30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
}

const (
	lastPause = 6 * time.Hour
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = time.Hour
)

// LongestPause is the most that a task of webhook:deliver waits for.
const LongestPause = lastPause + lastPause/10 + fallbackMargin + time.Second

// hereAttempt is the step of the schedule, 5 s, for what failed here.
const hereAttempt = 2

// rulesAttempt is the last step of the schedule, 2 min, for an event that our own
// rules refuse: a change of DNS or of the settings helps, and may come at any time.
const rulesAttempt = 4

// scheduled is the attempt that the pause after a failure is taken for. What
// failed here and not at the receiver uses up none of the schedule: a person waits.
func scheduled(attempt int, cause webhook.Cause) int {
	switch cause {
	case webhook.CauseHere:
		return hereAttempt
	case webhook.CauseRules:
		return min(attempt, rulesAttempt)
	default:
		return attempt
	}
}

// scheduledPause is the schedule's after the attempt of that number, from 1.
func scheduledPause(attempt int) time.Duration {
	if attempt > len(schedule) {
		return lastPause
	}
	return schedule[max(attempt, 1)-1]
}

// jitter lengthens a pause by up to a tenth.
func jitter(pause time.Duration) time.Duration { return pause + upTo(pause/10) }

func upTo(spread time.Duration) time.Duration {
	return rand.N(spread + 1) //nolint:gosec // jitter is no secret
}
