package stage

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// open opens a stage until the test ends.
func open(t *testing.T) *Stage {
	t.Helper()
	s, err := Open(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

func TestStage_RefusesWhatCannotBeDone(t *testing.T) {
	t.Parallel()
	stage := open(t)
	b := stage.board
	part := Parts(1)[0]
	part.Waits = true
	session, err := stage.Start(t.Context(), part)
	if err != nil || session.Note != "waits for you" {
		t.Fatalf("got %+v, %v", session, err)
	}
	for _, token := range []string{session.Token, "unknown", "no token"} {
		if err := stage.PostNow(t.Context(), token); !errors.Is(err, ErrNoAttempt) {
			t.Errorf("posting what does not wait: %q: %v", token, err)
		}
	}
	if err := stage.Decide(session.Token, WalkAway); err != nil {
		t.Error(err)
	}
	if err := stage.Decide(session.Token, Confirm); !errors.Is(err, ErrDecided) {
		t.Errorf("deciding again: %v", err)
	}
	if b.all()[0].Decided != WalkAway || Decision("dance").Valid() {
		t.Errorf("got %+v", b.all()[0])
	}
	for range MaxSessions - 1 {
		b.mu.Lock()
		b.add(strings.Repeat("x", len(b.sessions)))
		b.mu.Unlock()
	}
	if _, err := stage.Start(t.Context(), part); !errors.Is(err, ErrFull) {
		t.Errorf("one more than a thousand: %v", err)
	}
}

func TestStage_AddsSessionsThatOthersStart(t *testing.T) {
	t.Parallel()
	s := open(t)
	app := s.app
	p := Parts(6)[5] // has no account, in a second
	started, err := app.start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := app.enqueue(t.Context(), Session{Number: 1, Token: started.Token, Method: string(p.Method), Checks: true}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); len(s.Sessions()) == 0 || !s.Sessions()[0].Done(); {
		select {
		case <-deadline:
			t.Fatalf("not removed: %+v", s.Sessions())
		case <-tick.C:
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	got := s.Sessions()[0]
	if got.Token != started.Token || got.Person != "" || got.Method != "mobile_id" || got.Outcome != "failed: no_account" {
		t.Errorf("got %+v", got)
	}
}
