package tasks

import (
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/identwatch/identwatch/internal/redistest"
)

// BenchmarkEnqueue is how many sessions one application can enqueue, with as
// many calls under way as it has processors, ten times over.
func BenchmarkEnqueue(b *testing.B) {
	server := redistest.Start(b)
	client, err := NewClient(ClientConfig{RedisURL: server.URL()})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	var number atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(10)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s := valid()
			s.Token = strconv.FormatInt(number.Add(1), 10)
			if err := client.Enqueue(b.Context(), s); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkEnqueueMany is one goroutine that enqueues 1,000 sessions, in one call and
// one after the other.
func BenchmarkEnqueueMany(b *testing.B) {
	server := redistest.Start(b)
	client, err := NewClient(ClientConfig{RedisURL: server.URL()})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	sessions := many(1000)
	for name, enqueue := range map[string]func() []error{
		"one call": func() []error { return client.EnqueueMany(b.Context(), sessions) },
		"a loop": func() (results []error) {
			for _, s := range sessions {
				results = append(results, client.Enqueue(b.Context(), s))
			}
			return results
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				server.Client().FlushAll(b.Context())
				b.StartTimer()
				if err := errors.Join(enqueue()...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*len(sessions))/b.Elapsed().Seconds(), "sessions/s")
		})
	}
}
