package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth_AsksTheServiceOnLISTEN(t *testing.T) {
	for name, test := range map[string]struct {
		healthz, readyz  int
		body             string
		code, readyCode  int
		stdout, complain string
	}{
		"ready":          {200, 200, `{"ready":true}`, exitDone, exitDone, "alive, ready\n", ""},
		"with a detail":  {200, 200, `{"ready":true,"details":["account crm waits"]}`, exitDone, exitDone, "alive, ready; account crm waits\n", ""},
		"not ready":      {200, 503, `{"ready":false,"reasons":["waiting for Redis"]}`, exitDone, exitFailed, "alive, not ready: waiting for Redis\n", "waiting for Redis"},
		"another server": {404, 404, `nothing here`, exitFailed, exitFailed, "", "HTTP 404"},
		"odd readiness":  {200, 200, `[]`, exitDone, exitFailed, "alive, not ready: HTTP 200\n", "HTTP 200"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/healthz" {
					w.WriteHeader(test.healthz)
					return
				}
				w.WriteHeader(test.readyz)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			environmentOf(t, map[string]string{"LISTEN": strings.Replace(server.Listener.Addr().String(), "127.0.0.1", "", 1)})
			code, stdout, stderr := exec(t, "", "health")
			if code != test.code || stdout != test.stdout || code != exitDone && !strings.Contains(stderr, test.complain) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			code, _, stderr = exec(t, "", "health", "--ready")
			if code != test.readyCode || !strings.Contains(stderr, test.complain) {
				t.Errorf("--ready: exit %d, stderr %q", code, stderr)
			}
		})
	}
}

func TestHealth_FailsWhereNobodyListens(t *testing.T) {
	environmentOf(t, map[string]string{"LISTEN": "127.0.0.1:1"})
	if code, _, stderr := exec(t, "", "health"); code != exitFailed || !strings.Contains(stderr, "does not answer") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	environmentOf(t, map[string]string{"LISTEN": ":0"})
	if code, _, stderr := exec(t, "", "health"); code != exitUsage || !strings.Contains(stderr, "port 0") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
