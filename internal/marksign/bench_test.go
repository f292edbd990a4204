package marksign

import (
	"context"
	"io"
	"net/http"
	"testing"
)

func BenchmarkStatusPending(b *testing.B) {
	base := serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(waiting)
	})
	c := newClient(b, base, nil)
	b.ReportAllocs()
	for b.Loop() {
		if got := c.Status(context.Background(), smartSession); got != (Answer{}) {
			b.Fatal(got)
		}
	}
}

// Without the network and net/http's own work.
func BenchmarkJudge(b *testing.B) {
	for name, body := range map[string]string{
		"pending": `{"status":"waiting"}`, "pending with more": `{"status":"waiting","x":1}`, "identified": documentedOK,
	} {
		b.Run(name, func(b *testing.B) {
			r := reply{status: 200, body: []byte(body)}
			b.ReportAllocs()
			for b.Loop() {
				statusAnswer(r, testToken)
			}
		})
	}
}
