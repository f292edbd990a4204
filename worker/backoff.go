package worker

import (
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// newErrorBackoff is the pause between polls while MarkSign or the way to it is
// in trouble: 1 s to 30 s, with jitter, for as long as the session is followed.
func newErrorBackoff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(time.Second),
		backoff.WithMaxInterval(30*time.Second),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.2),
		backoff.WithMaxElapsedTime(0),
	)
}

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
)

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
