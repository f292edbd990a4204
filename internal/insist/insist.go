// Package insist repeats what Redis must take until Redis takes it. A fact that a
// receiver or MarkSign told is written down, whatever becomes of the run that
// learned it.
package insist

import (
	"context"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	firstPause = 50 * time.Millisecond
	// LongestPause is short, because asynq waits until what was insisted on is
	// written when Redis is back.
	LongestPause = 200 * time.Millisecond
)

// On repeats do until it succeeds, with pauses that rise to LongestPause. It logs
// the first failure. It returns false if ctx ended first.
func On(ctx context.Context, log *slog.Logger, what string, do func(context.Context) error) bool {
	told := false
	err := backoff.RetryNotify(
		func() error { return do(ctx) },
		backoff.WithContext(pauses(), ctx),
		func(err error, _ time.Duration) {
			if !told {
				told = true
				log.Error("Redis refused; trying again until it takes it", "what", what, "error", err)
			}
		})
	return err == nil
}

func pauses() backoff.BackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(firstPause),
		backoff.WithMaxInterval(LongestPause),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0),
		backoff.WithMaxElapsedTime(0),
	)
}

// Notes insists with a context that ends with the process's work, and not with the
// run that learned the fact. It is safe for concurrent use.
type Notes struct {
	ctx context.Context //nolint:containedctx // it outlives every call
	log *slog.Logger
}

// NewNotes makes Notes that are written until ctx ends.
func NewNotes(ctx context.Context, log *slog.Logger) Notes { return Notes{ctx, log} }

// Write writes a fact down. It returns false if the process's own end came first.
func (n Notes) Write(what string, do func(context.Context) error) bool {
	return On(n.ctx, n.log, what, do)
}

// Context ends with the process's work.
func (n Notes) Context() context.Context { return n.ctx }
