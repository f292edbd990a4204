package taskserver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
)

func TestIsFailure_CountsWhatFailedAndNotWhatWaits(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err  error
		want bool
	}{
		"following":             {Wait(time.Second, "x"), false},
		"full":                  {Wait(time.Second, "x"), false},
		"Redis":                 {NoRedis(), false},
		"a callback that fails": {Retry(0, "x"), true},
		"wrapped":               {fmt.Errorf("x: %w", Wait(time.Second, "x")), false},
		"asynq's lease":         {asynq.ErrLeaseExpired, false},
		"cancelled":             {context.Canceled, false},
		"out of time":           {context.DeadlineExceeded, false},
		"a broken payload":      {errPayload(errors.New("x")), true},
		"anything else":         {errors.New("x"), true},
	} {
		if got := isFailure(row.err); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRetryDelay_IsWhatTheHandlerAsksFor(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want time.Duration
	}{
		{Wait(7*time.Second, "x"), 7 * time.Second},
		{fmt.Errorf("x: %w", Wait(time.Second, "x")), time.Second},
		{asynq.ErrLeaseExpired, 0},
		{context.Canceled, 0},
		{errors.New("x"), time.Second},
	} {
		if got := retryDelay(3, row.err, nil); got != row.want {
			t.Errorf("%v: %v, want %v", row.err, got, row.want)
		}
	}
}
