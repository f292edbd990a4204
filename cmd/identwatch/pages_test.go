package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/api"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/redistest"
)

func TestMonitorPage_NeedsAPassword(t *testing.T) {
	t.Parallel()
	rdb, m := redistest.Embedded()
	t.Cleanup(func() { _ = rdb.Close(); m.Close() })
	cfg := config.Serve{MonitorUser: "operator"}
	if newMonitor(cfg, rdb, nil, nil) != nil {
		t.Error("there is a page without a password")
	}
	cfg.MonitorPassword = config.NewSecret("correct horse battery")
	s := &service{metrics: newRegistry(), api: api.Off(), monitor: newMonitor(cfg, rdb, nil, nil)}
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

func TestAPI_WithoutAKeySaysWhichSettingMakesOne(t *testing.T) {
	t.Parallel()
	handler, err := newAPI(config.Serve{}, []account{{}}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	pages := (&service{metrics: newRegistry(), api: handler}).pages(nil)
	for _, path := range []string{"/v1/sessions", "/v1/sessions/a", "/v1/openapi.json", "/docs/"} {
		rec := httptest.NewRecorder()
		pages.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, path, strings.NewReader("{}")))
		body := rec.Body.String()
		if rec.Code != http.StatusNotImplemented || rec.Header().Get("Content-Type") != "application/problem+json" ||
			!strings.Contains(body, `"no_api_keys"`) || !strings.Contains(body, "identwatch secret api") || !strings.Contains(body, "API_KEYS") {
			t.Errorf("%s: %d %s", path, rec.Code, body)
		}
	}
}
