package webhook

import (
	"io"
	"net/http"
	"testing"
)

// BenchmarkSend posts the documented event over loopback, each time on a kept connection.
func BenchmarkSend(b *testing.B) {
	body, err := completedEvent().Marshal()
	if err != nil {
		b.Fatal(err)
	}
	url := receiver(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	s := newTestSender(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got := s.Send(b.Context(), url, "msg_1", body); got.Verdict != Delivered {
				b.Errorf("%+v", got)
				return
			}
		}
	})
}

// BenchmarkSign signs a body of 8 KiB.
func BenchmarkSign(b *testing.B) {
	key := NewSigningKey()
	body := make([]byte, 8<<10)
	for name, signer := range map[string]*Signer{
		"hmac":    mustSigner(b, nil, NewSecret()),
		"rotate":  mustSigner(b, nil, NewSecret(), NewSecret()),
		"ed25519": mustSigner(b, &key),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			h := http.Header{}
			for b.Loop() {
				signer.Sign(h, "msg_1", timeOfTests, body)
			}
		})
	}
}
