//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/identwatch/identwatch/internal/freeport"
)

// way is a process's own way to one of the others, through toxiproxy.
type way struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

var waysHub = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard).Level(zerolog.Disabled))

func newWay(t *testing.T, name, target string) *way {
	t.Helper()
	w := &way{t, toxiproxy.NewProxy(waysHub, name, freeport.Addr(t), target)}
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Stop)
	return w
}

func (w *way) addr() string { return w.proxy.Listen }

// close refuses whoever comes, and cuts whoever is there, until open is called.
// Its port stays its own.
func (w *way) close() (open func()) {
	w.proxy.Stop()
	return func() {
		// A process that was being started when the way closed may have its listener
		// until it has become another program.
		var err error
		if !happens(time.Minute, func() bool { err = w.proxy.Start(); return err == nil }) {
			w.t.Errorf("the way %s cannot be opened again: %v", w.proxy.Name, err)
		}
	}
}

// toxic is one of toxiproxy's, in one direction.
type toxic struct {
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Toxicity   float32        `json:"toxicity"`
	Attributes map[string]int `json:"attributes"`
}

func (x toxic) String() string { return fmt.Sprintf("%s %s %v", x.Type, x.Stream, x.Attributes) }

// drawToxic draws one. The least delay of a request to the receiver is bounded,
// for what stays on its way longer than its sender waits for is seen late by a
// receiver, whoever sends.
func drawToxic(dice *rand.Rand) toxic {
	all := []toxic{
		{Type: "latency", Attributes: map[string]int{"latency": 20 + dice.IntN(500), "jitter": dice.IntN(250)}},
		{Type: "bandwidth", Attributes: map[string]int{"rate": 1 + dice.IntN(20)}},
		{Type: "slow_close", Attributes: map[string]int{"delay": 200 + dice.IntN(2000)}},
		{Type: "timeout", Attributes: map[string]int{"timeout": dice.IntN(2) * dice.IntN(3000)}},
		{Type: "reset_peer", Attributes: map[string]int{"timeout": dice.IntN(500)}},
		{Type: "limit_data", Attributes: map[string]int{"bytes": 30 + dice.IntN(3000)}},
		{Type: "slicer", Attributes: map[string]int{"average_size": 16 + dice.IntN(200), "size_variation": 8, "delay": 500 + dice.IntN(4000)}},
	}
	x := all[dice.IntN(len(all))]
	x.Toxicity, x.Stream = 1, "upstream"
	if dice.IntN(2) == 0 {
		x.Stream = "downstream"
	}
	return x
}

// poison puts a toxic on the way until heal is called.
func (w *way) poison(x toxic) (heal func()) {
	x.Name = fmt.Sprintf("%s of %v", x.Type, time.Now())
	text, err := json.Marshal(x)
	if err != nil {
		w.t.Error(err)
	}
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
		w.t.Errorf("a toxic %s: %v", x, err)
	}
	return func() {
		done := make(chan error, 1)
		go func() { done <- w.proxy.Toxics.RemoveToxic(context.Background(), x.Name) }()
		select {
		case err := <-done:
			if err != nil {
				w.t.Errorf("taking away a toxic %s: %v", x, err)
			}
		case <-time.After(10 * time.Second):
			w.t.Errorf("toxiproxy hangs: %s", x)
		}
	}
}

// While a way is closed, and in the moments around, its port is given to nobody
// else: a worker of one schedule would post to the receiver of another.
func TestWay_ItsPortIsNobodyElses(t *testing.T) {
	t.Parallel()
	w := newWay(t, "way", "127.0.0.1:1")
	var others sync.WaitGroup
	var taken atomic.Int32
	quit := make(chan struct{})
	for range 4 {
		others.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
					if l.Addr().String() == w.addr() {
						taken.Add(1)
					}
					l.Close()
				}
			}
		})
	}
	for range 2000 {
		w.close()()
	}
	close(quit)
	others.Wait()
	if n := taken.Load(); n > 0 {
		t.Errorf("%d times another listener got the port of a way that was closed", n)
	}
}
