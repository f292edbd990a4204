package poll

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// newErrorBackoff is the pause between polls while MarkSign or the way to it is in
// trouble: 1 s to 30 s, with jitter, for as long as the session is followed.
func newErrorBackoff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(time.Second),
		backoff.WithMaxInterval(30*time.Second),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0.2),
		backoff.WithMaxElapsedTime(0),
	)
}
