package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/redistest"
)

// BenchmarkBatch is one application that enqueues 1,000 sessions with each request.
func BenchmarkBatch(b *testing.B) {
	server := redistest.Start(b)
	d := newDeskOn(b, server.Client())
	d.api.patience = time.Minute // for a busy machine
	sessions := make([]string, 1000)
	for i := range sessions {
		sessions[i] = fmt.Sprintf(`{"token":"t%d","method":"smart_id"}`, i)
	}
	body := `{"sessions":[` + strings.Join(sessions, ",") + `]}`
	header := d.as("shop").with("Content-Type", "application/json").header
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		server.Client().FlushAll(b.Context())
		b.StartTimer()
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/v1/sessions:batch", strings.NewReader(body))
		r.Header = header
		if d.api.ServeHTTP(rec, r); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), `"enqueued":1000`) {
			b.Fatalf("%d %.200s", rec.Code, rec.Body)
		}
	}
	b.ReportMetric(float64(b.N*len(sessions))/b.Elapsed().Seconds(), "sessions/s")
}
