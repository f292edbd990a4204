package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/redistest"
)

func TestMonitorPage_NeedsAPassword(t *testing.T) {
	t.Parallel()
	rdb, m := redistest.Embedded()
	t.Cleanup(func() { _ = rdb.Close(); m.Close() })
	cfg := config.Serve{MonitorUser: "operator"}
	if newMonitor(cfg, rdb, nil) != nil {
		t.Error("there is a page without a password")
	}
	cfg.MonitorPassword = config.NewSecret("correct horse battery")
	s := &service{metrics: newRegistry(), monitor: newMonitor(cfg, rdb, nil)}
	page := s.pages(nil)
	for _, ask := range []struct {
		method, password string
		want             int
	}{
		{http.MethodGet, "correct horse battery", http.StatusNotFound}, // let in; there is no such call,
		{http.MethodGet, "wrong", http.StatusUnauthorized},
		{http.MethodPost, "correct horse battery", http.StatusMethodNotAllowed}, // MONITOR_WRITE is not set
	} {
		r := httptest.NewRequest(ask.method, "/monitor/api/none", http.NoBody)
		r.SetBasicAuth("operator", ask.password)
		rec := httptest.NewRecorder()
		page.ServeHTTP(rec, r)
		if rec.Code != ask.want {
			t.Errorf("%s with the password %q: got %d, want %d", ask.method, ask.password, rec.Code, ask.want)
		}
	}
}
