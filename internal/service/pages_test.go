package service

import (
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/api"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/internal/config/configtest"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/settings"
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
	s := &Service{metrics: newRegistry(), api: api.Off(), monitor: newMonitor(cfg, rdb, nil, nil)}
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
	handler, err := newAPI(config.Serve{}, []settings.Account{{}}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	pages := (&Service{metrics: newRegistry(), api: handler}).pages(nil)
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

// What API_RATE says is what the API goes by.
func TestAPI_HasTheRateOfItsSetting(t *testing.T) {
	rdb, m := redistest.Embedded()
	t.Cleanup(func() { _ = rdb.Close(); m.Close() })
	hash := api.HashKey("iwk_1")
	variables := configtest.Secrets()
	variables["REDIS_URL"], variables["CALLBACK_URL"] = "redis://127.0.0.1:1", "https://app.example/"
	variables["API_KEYS"] = "sha256:" + hex.EncodeToString(hash[:])
	for rate, want := range map[string]string{"2000": `"account";q=2000;w=1`, "0": ""} {
		variables["API_RATE"] = rate
		configtest.Set(t, variables)
		cfg, err := config.LoadServe(settings.Checks)
		if err != nil {
			t.Fatal(err)
		}
		accounts, err := settings.NewAccounts(cfg, settings.ClosedTo(cfg))
		if err != nil {
			t.Fatal(err)
		}
		handler, err := newAPI(cfg, accounts, rdb, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/v1/sessions/a", http.NoBody)
		r.Header.Set("Authorization", "Bearer iwk_1")
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if got := rec.Header().Get("RateLimit-Policy"); rec.Code != http.StatusNotFound || got != want {
			t.Errorf("API_RATE=%s: %d with the policy %s, want %s", rate, rec.Code, got, want)
		}
	}
}
