package hosts

import (
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"
)

// waitAt puts an event into the list that sleeps for an hour, or longer if its
// receiver asked for that.
func waitAt(h *Hosts, i int, asked bool) {
	due := time.Now().Add(time.Hour + time.Duration(i%1000)*time.Second)
	p := Pause{Due: due, Ends: due.Add(time.Hour)}
	if asked {
		p.NotBefore = due
	}
	h.Wait(Event{ID: fmt.Sprintf("default:%036d", i), Host: "default a.example", Since: time.Now(), Kind: Repeated, Post: func(*Permit) {}}, p)
}

// A list is full, and the tasks of what found no room in it come again and again.
func BenchmarkWait_FullList(b *testing.B) {
	h := New(Options{PerHost: 1, Total: 1, Log: slog.New(slog.DiscardHandler)})
	for i := range 20_000 {
		waitAt(h, i, false)
	}
	b.ReportAllocs()
	for i := 20_000; b.Loop(); i++ {
		waitAt(h, i, false)
	}
	h.Close()
}

// A host is away, and thousands sleep because it asked for that.
func BenchmarkWait_AskedToSleep(b *testing.B) {
	h := New(Options{PerHost: 1, Total: 1, Log: slog.New(slog.DiscardHandler)})
	for i := range openFailures {
		p, _ := h.Acquire(Event{ID: strconv.Itoa(i), Host: "default a.example"})
		p.Report(Down)
		p.Release()
	}
	for i := range 10_000 {
		waitAt(h, i, true)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i = (i + 1) % 10_000 {
		waitAt(h, i, true)
	}
	h.Close()
}
