package insist

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOn_RepeatsUntilItIsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		begun, tries := time.Now(), 0
		taken := On(t.Context(), slog.New(slog.NewTextHandler(&logs, nil)), "a fact", func(context.Context) error {
			if tries++; tries < 100 {
				return errors.New("LOADING")
			}
			return nil
		})
		if !taken || tries != 100 {
			t.Errorf("taken %v after %d tries", taken, tries)
		}
		if took := time.Since(begun); took > 100*LongestPause {
			t.Errorf("it took %v", took)
		}
		if n := strings.Count(logs.String(), "Redis refused"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, &logs)
		}
	})
}

func TestOn_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if NewNotes(ctx, slog.New(slog.DiscardHandler)).Write("a fact", func(context.Context) error { return errors.New("READONLY") }) {
			t.Error("it says that Redis took it")
		}
		if ctx.Err() == nil {
			t.Error("it gave up before its context ended")
		}
	})
}
