package service

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProbes_SayWhatTheWorkerSays(t *testing.T) {
	t.Parallel()
	var now standing
	stopping := make(chan struct{})
	handler := probes(stopping, func(context.Context) standing { return now })
	get := func(path string) (status int, body string) {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		return rec.Code, rec.Body.String()
	}
	check := func(when string, wantStatus int, wantBody string) {
		t.Helper()
		if status, body := get("/readyz"); status != wantStatus || strings.TrimSpace(body) != wantBody {
			t.Errorf("%s: %d %s", when, status, body)
		}
		if status, _ := get("/healthz"); status != http.StatusOK {
			t.Errorf("%s: /healthz answers %d", when, status)
		}
	}
	check("ready", 200, `{"ready":true}`)
	now.details = []string{"account crm is rejected"}
	check("ready, with a detail", 200, `{"ready":true,"details":["account crm is rejected"]}`)
	now.reasons = []string{"Redis does not answer"}
	check("not ready", 503, `{"ready":false,"reasons":["Redis does not answer"],"details":["account crm is rejected"]}`)
	now = standing{}
	close(stopping)
	check("stopping", 503, `{"ready":false,"reasons":["stopping"]}`)
	if status, _ := get("/"); status != http.StatusNotFound {
		t.Errorf("another path answers %d", status)
	}
}
