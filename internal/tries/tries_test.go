package tries

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func from(address string) *http.Request { return &http.Request{RemoteAddr: address} }

// wrong tries so often, and returns how many were looked at.
func wrong(l *Limiter, r *http.Request, times int) (looked int) {
	for range times {
		if l.Begin(r) == 0 {
			looked++
		}
		l.Wrong(r)
	}
	return looked
}

func TestLimiter_LetsAClientBeWrongNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Door: "monitor"})
		if n := wrong(l, from("192.0.2.1:1000"), 43_000); n != burst {
			t.Errorf("%d tries at once were looked at", n)
		}
		for _, other := range []string{"192.0.2.2:1000", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1"} {
			if l.Begin(from(other)) != 0 {
				t.Errorf("%s has to wait", other)
			}
		}
		if wait := l.Begin(from("[::ffff:192.0.2.1]:7")); wait <= 0 || wait > pause {
			t.Errorf("it waits for %v", wait)
		}
		time.Sleep(time.Minute)
		if n := wrong(l, from("192.0.2.1:2000"), 1000); n != burst {
			t.Errorf("%d tries a minute later", n)
		}
		time.Sleep(pause)
		if n := wrong(l, from("192.0.2.1:2000"), 1000); n != 1 {
			t.Errorf("%d tries after a pause", n)
		}
		if n := wrong(l, from("[2001:db8::1]:1"), 5) + wrong(l, from("[2001:db8::ffff:2]:1"), 100); n != burst {
			t.Errorf("%d tries of one network", n)
		}
	})
}

func TestLimiter_WhoIsRightNeverWaits(t *testing.T) {
	t.Parallel()
	l := New(Options{Door: "monitor"})
	for range 1000 {
		if l.Begin(from("192.0.2.1:1")) != 0 {
			t.Fatal("it waits")
		}
		l.Right(from("192.0.2.1:1"))
	}
}

func TestLimiter_KeepsABoundedTable(t *testing.T) {
	t.Parallel()
	l := New(Options{Door: "monitor"})
	wrong(l, from("192.0.2.1:1"), burst)
	for i := range 3 * maxClients / 2 {
		l.Begin(from(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff)))
	}
	if n := len(l.lately) + len(l.older); n > 2*maxClients {
		t.Errorf("%d clients", n)
	}
	if l.Begin(from("192.0.2.1:1")) == 0 {
		t.Error("the first one is forgotten at once")
	}
}

// safeBuffer is written by the limiter's timer too.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func TestLimiter_WarnsOnceAMinuteAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said safeBuffer
		metrics := prometheus.NewRegistry()
		l := New(Options{Door: "monitor", Log: slog.New(slog.NewTextHandler(&said, nil)), Metrics: metrics})
		for range 59 {
			wrong(l, from("192.0.2.1:1000"), 100)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if n := strings.Count(said.String(), "\n"); n != 1 || !strings.Contains(said.String(), "tries=1 ") {
			t.Errorf("%d lines: %s", n, said.String())
		}
		time.Sleep(time.Hour) // nobody comes again, and all are reported
		synctest.Wait()
		if n := strings.Count(said.String(), "\n"); n != 2 || !strings.Contains(said.String(), "tries=5899 ") {
			t.Errorf("%d lines: %s", n, said.String())
		}
		wrong(l, from("192.0.2.1:1000"), 100)
		if n := strings.Count(said.String(), "\n"); n != 3 {
			t.Errorf("%d lines: %s", n, said.String())
		}
		got, err := metrics.Gather()
		if err != nil || len(got) != 1 || got[0].GetMetric()[0].GetCounter().GetValue() != 6000 {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
