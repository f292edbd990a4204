package worker

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// The two benchmarks make the same polls over loopback: the engine with all that
// it does for durability, and a bare loop that knows nothing but to poll. Their
// ratio, in one run, says how far the engine is from the floor.
const (
	benchSessions = 2000
	benchWorkers  = 64
)

func benchMarkSign(b *testing.B, polled *atomic.Int64) (string, *marksim.Simulator) {
	b.Helper()
	sim := marksim.New(marksim.Options{OnEvent: func(e marksim.Event) {
		if e.Kind == marksim.Polled {
			polled.Add(1)
		}
	}})
	server := httptest.NewServer(sim)
	b.Cleanup(server.Close)
	for i := range benchSessions {
		sim.Add(fmt.Sprint("s", i), marksim.SmartID, marksim.Person{Code: "1", Outcome: marksim.Waits})
	}
	return server.URL, sim
}

func BenchmarkPoll(b *testing.B) {
	b.Run("engine", benchEngine)
	b.Run("bare", benchBare)
}

// awaitPolls runs until b.N polls were answered.
func awaitPolls(b *testing.B, polled *atomic.Int64) {
	b.Helper()
	b.ResetTimer()
	from, cpu := polled.Load(), cpuTime(b)
	for polled.Load()-from < int64(b.N) {
		<-time.After(time.Millisecond)
	}
	b.StopTimer()
	polls := float64(polled.Load() - from)
	b.ReportMetric(polls/b.Elapsed().Seconds(), "polls/s")
	b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/polls, "cpu-ns/poll")
}

// cpuTime is what this process has used of the processors, which a noisy machine
// changes less than the time on the clock.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func benchEngine(b *testing.B) {
	var polled atomic.Int64
	url, _ := benchMarkSign(b, &polled)
	rdb := redistest.Start(b).Client()
	w := benchWorker(b, rdb, url, Pace{{From: 0, Every: time.Millisecond}})
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb})
	if err != nil {
		b.Fatal(err)
	}
	for i := range benchSessions {
		if err := client.Enqueue(b.Context(), tasks.Session{Token: fmt.Sprint("s", i), Method: tasks.SmartID}); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = w.Run(ctx) })
	for w.size() < benchSessions {
		<-time.After(time.Millisecond)
	}
	awaitPolls(b, &polled)
	cancel()
	running.Wait()
}

func benchWorker(b *testing.B, rdb *redis.Client, url string, pace Pace) *Worker {
	b.Helper()
	signer, err := webhook.NewSigner([]webhook.Secret{testSecret}, nil)
	if err != nil {
		b.Fatal(err)
	}
	sender, err := webhook.NewSender(webhook.SenderConfig{Signer: signer})
	if err != nil {
		b.Fatal(err)
	}
	w, err := New(Options{
		Redis: rdb, OutcomeKeys: [][]byte{make([]byte, 32)}, Logger: slog.New(slog.DiscardHandler),
		Accounts: []Account{{MarkSign: MarkSign{BaseURL: url, AccessToken: accessToken}, Sender: sender}}, PollWorkers: benchWorkers,
		Pace: pace, SessionTimeout: time.Hour,
	})
	if err != nil {
		b.Fatal(err)
	}
	return w
}

// size is how many sessions a worker follows.
func (w *Worker) size() (all int) {
	for _, n := range w.followed() {
		all += n
	}
	return all
}

func benchBare(b *testing.B) {
	var polled atomic.Int64
	url, _ := benchMarkSign(b, &polled)
	upstream, err := marksign.New(marksign.Config{BaseURL: url, AccessToken: accessToken, MaxConns: benchWorkers})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	for worker := range benchWorkers {
		running.Go(func() {
			for i := worker; ctx.Err() == nil; i = (i + benchWorkers) % benchSessions {
				upstream.Status(ctx, marksign.Session{Token: fmt.Sprint("s", i), Method: marksign.SmartID})
			}
		})
	}
	awaitPolls(b, &polled)
	cancel()
	running.Wait()
}

// BenchmarkTake measures how fast a worker takes pending sessions in, as after
// another handed its own over.
func BenchmarkTake(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		rdb := redistest.Start(b).Client()
		client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb})
		if err != nil {
			b.Fatal(err)
		}
		for i := range benchSessions {
			if err := client.Enqueue(b.Context(), tasks.Session{Token: fmt.Sprint("s", i), Method: tasks.SmartID}); err != nil {
				b.Fatal(err)
			}
		}
		w := benchWorker(b, rdb, "http://127.0.0.1:1", Pace{{From: 0, Every: time.Hour}})
		ctx, cancel := context.WithCancel(b.Context())
		var running sync.WaitGroup
		b.StartTimer()
		running.Go(func() { _ = w.Run(ctx) })
		for w.size() < benchSessions {
			<-time.After(time.Millisecond)
		}
		b.StopTimer()
		cancel()
		running.Wait()
		b.StartTimer()
	}
	b.ReportMetric(benchSessions*float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
}
