package tasks

import (
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
