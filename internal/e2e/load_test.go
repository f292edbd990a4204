package e2e

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/webhook"
	"github.com/identwatch/identwatch/worker"
)

func TestServe_TenThousandSessionsInOneProcess(t *testing.T) {
	heavy(t)
	w := newWorld(t)
	markSign := w.simulate(10_000, "10m,20m")
	p := w.serve(markSign.setting, "LOG_LEVEL=info")
	idle, _ := p.memory()
	// Four in five were started long ago and are polled each five seconds, so that
	// the machine can keep the pace.
	w.enqueue(markSign.tokens[:8000], "--started-at="+time.Now().Add(-10*time.Minute).Format(time.RFC3339))
	w.awaitHeld(markSign.tokens[:8000], p, time.Minute)
	w.enqueue(markSign.tokens[8000:])
	w.awaitHeld(markSign.tokens, p, time.Minute)
	before, _, err := markSign.polls()
	if err != nil {
		t.Fatal(err)
	}
	begun, resident := time.Now(), 0
	for time.Since(begun) < 12*time.Second {
		pass(500 * time.Millisecond)
		now, _ := p.memory()
		resident = max(resident, now)
	}
	after, least, err := markSign.polls()
	if err != nil {
		t.Fatal(err)
	}
	_, peak := p.memory()
	t.Logf("%d sessions, %.0f polls per second, each polled %d times at least: %d MB resident (peak %d MB, %d MB without sessions)",
		len(markSign.tokens), float64(after-before)/time.Since(begun).Seconds(), least, resident>>20, peak>>20, idle>>20)
	if most := 80 << 20; resident > most {
		t.Errorf("resident memory is %d MB, want %d MB at most", resident>>20, most>>20)
	}
	if least < 2 {
		t.Errorf("a session was polled %d times only, so the test shows nothing", least)
	}
}

// TestWorker_HasNoGoroutinePerSession runs the engine in the test's own process,
// for a process does not tell how many goroutines it has.
func TestWorker_HasNoGoroutinePerSession(t *testing.T) {
	heavy(t)
	w := newWorld(t)
	signer, err := webhook.NewSigner([]webhook.Secret{webhook.NewSecret()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := worker.New(worker.Options{
		Redis: w.rdb, OutcomeKeys: [][]byte{make([]byte, 32)},
		Accounts: []worker.Account{{
			MarkSign: worker.MarkSign{BaseURL: "https://marksign.example", AccessToken: w.secrets.accessToken, Transport: w.sim},
			Sender:   sender, CallbackURL: "https://app.example/callback",
		}},
		Pace: worker.Pace{{From: 0, Every: 5 * time.Second}}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- engine.Run(ctx) }()

	goroutines := func(prefix string, sessions int) int {
		tokens := w.begin(prefix, sessions, waits())
		w.enqueue(tokens)
		eventually(t, time.Minute, "every session is polled", func() bool {
			for _, token := range tokens {
				if s, _ := w.sim.Session(token); s.Polls < 2 {
					return false
				}
			}
			return true
		})
		most := 0
		for range 20 {
			pass(50 * time.Millisecond)
			most = max(most, runtime.NumGoroutine())
		}
		return most
	}
	few, many := goroutines("few", 100), goroutines("many", 9_900)
	t.Logf("%d goroutines with 100 sessions, %d with 10,000", few, many)
	if more := many - few; more > 100 {
		t.Errorf("9,900 sessions more have %d goroutines more", more)
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServe_SlowReceiverDoesNotSlowPolls(t *testing.T) {
	heavy(t)
	w := newWorld(t)
	const slowness = 6 * time.Second
	w.receiver.script = func(e webhook.Event, _ []byte, _ int) answer {
		if strings.HasPrefix(e.Data.Token, "early") {
			return answer{after: slowness}
		}
		return answer{}
	}
	// Enough slots to be done with them within the test; they are half as many to
	// one host, so others still wait.
	w.serve("POLL_PACE=1s", "DELIVERY_CONCURRENCY=500", "DELIVERY_TIMEOUT=12s") // which leaves a busy machine some room
	early := w.begin("early", 500, confirms(time.Second, 4*time.Second))
	pending := w.begin("pending", 500, waits())
	all := slices.Concat(early, pending)
	w.enqueue(all)
	eventually(t, time.Minute, "the receiver is slow to many", func() bool { return w.receiver.posts() >= 200 })
	eventually(t, time.Minute, "the slow posts are over", func() bool {
		return w.receiver.posts() == len(early) && w.receiver.underWay("A") == 0
	})
	var gaps distribution
	for _, token := range pending {
		s, _ := w.sim.Session(token)
		// What the time since the last poll would add to the longest gap counts too.
		gaps = append(gaps, max(s.MaxPollGap, time.Since(s.LastPollAt)))
	}
	gaps.log(t, "longest pause between two polls of a session while the receiver was slow")
	if most := pace + jitter + 2*time.Second; gaps.quantile(1) > most {
		t.Errorf("a session was not polled for %v, want %v at most", gaps.quantile(1), most)
	}
	for _, token := range pending {
		w.sim.Confirm(token)
	}
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(time.Minute)
	w.check(all, nil)
}
