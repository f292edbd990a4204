package demo

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

var discard = slog.New(slog.DiscardHandler)

func TestRun_NamesWhatIsMissingWhenPatienceIsOver(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	err := Run(t.Context(), Options{Sessions: 2, Exit: true, Out: &out, Err: &log, Patience: 100 * time.Millisecond})
	if err == nil || strings.Count(err.Error(), "not removed") != 2 || !strings.Contains(err.Error(), "session 2 (") {
		t.Errorf("got %v", err)
	}
}

// writer calls a function for each text.
type writer func(text string)

func (w writer) Write(text []byte) (int, error) { w(string(text)); return len(text), nil }

func TestRun_InterruptedAtTheStartIsAFailure(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	out := writer(func(text string) {
		if strings.Contains(text, "embedded Redis") {
			interrupt()
		}
	})
	err := Run(ctx, Options{Sessions: 2, Exit: true, Out: out, Err: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "interrupted") || !strings.Contains(err.Error(), "2 sessions were not started") {
		t.Errorf("got %v", err)
	}
}
