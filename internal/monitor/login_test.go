package monitor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLogin_LetsOneUserInAlone(t *testing.T) {
	t.Parallel()
	h := mounted(Options{Redis: embedded(t, 1)})
	for name, test := range map[string]struct {
		user, password string
		want           int
	}{
		"the user":               {user, password, 200},
		"nobody":                 {"", "", 401},
		"another password":       {user, password + "x", 401},
		"a part of the password": {user, password[:12], 401},
		"no password":            {user, "", 401},
		"another user":           {"Operator", password, 401},
		"no user":                {"", password, 401},
		"a long password":        {user, strings.Repeat("x", 50_000), 401},
		"exchanged":              {password, user, 401},
	} {
		r := httptest.NewRequest(http.MethodGet, Path+"api/queues", http.NoBody)
		r.SetBasicAuth(test.user, test.password)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != test.want {
			t.Errorf("%s: got %d, want %d", name, rec.Code, test.want)
		}
		if shows := strings.Contains(rec.Body.String(), "somewhere"); shows != (test.want == 200) {
			t.Errorf("%s: shows the queue: %t", name, shows)
		}
	}
}

// TestLogin_HasNoWayAround asks in every odd way that comes to mind, without the
// login or with a wrong header.
func TestLogin_HasNoWayAround(t *testing.T) {
	t.Parallel()
	h := mounted(Options{Redis: embedded(t, 1), Write: true})
	for _, path := range []string{
		"/monitor/", "/monitor/api/queues", "/monitor/static/js/main.5adda2da.chunk.js", "/monitor/favicon.ico", "/monitor/api/redis_info",
		"//monitor/api/queues", "/monitor//api/queues", "/monitor/./api/queues", "/monitor/x/../api/queues", "/monitor/%2e%2e/monitor/api/queues",
		"/monitor/%61pi/queues", "/monitor%2fapi/queues", "/monitor/api%2fqueues", "/monitor/api/queues/", "/monitor/;/api/queues",
		"/healthz/../monitor/api/queues", "/monitor/api/queues/somewhere/tasks/task-0", "/Monitor/api/queues", "/monitor/API/queues",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND"} {
			for _, header := range []string{
				"X-Nothing: 1", "Authorization: Basic", "Authorization: Basic Og==", "Authorization: Bearer " + password,
				"Authorization: " + user + ":" + password, "X-Original-Url: /monitor/", "X-Forwarded-User: " + user,
			} {
				name, value, _ := strings.Cut(header, ": ")
				r := httptest.NewRequest(method, path, http.NoBody)
				r.Header.Set(name, value)
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, r)
				if rec.Code < 300 || strings.Contains(rec.Body.String(), "somewhere") || rec.Body.Len() > 200 {
					t.Errorf("%s %s with %s: %d %.300s", method, path, header, rec.Code, rec.Body)
				}
				if rec.Code == 401 && (rec.Body.String() != "Unauthorized\n" || rec.Header().Get("Www-Authenticate") == "") {
					t.Errorf("%s %s: %q", method, path, rec.Body)
				}
			}
		}
	}
}

func TestNew_WithoutAPasswordLetsNobodyIn(t *testing.T) {
	t.Parallel()
	h := New(Options{Redis: embedded(t, 0), User: user})
	for _, given := range []string{"", password} {
		r := httptest.NewRequest(http.MethodGet, Path, http.NoBody)
		r.SetBasicAuth(user, given)
		rec := httptest.NewRecorder()
		if h.ServeHTTP(rec, r); rec.Code != 401 {
			t.Errorf("got %d with the password %q", rec.Code, given)
		}
	}
}

func TestNew_OpenLetsEverybodyIn(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	New(Options{Redis: embedded(t, 1), Open: true}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, Path+"api/queues", http.NoBody))
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), "somewhere") {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
}

func TestLogin_SlowsDownWhoIsWrong(t *testing.T) {
	t.Parallel()
	h := mounted(Options{Redis: embedded(t, 1)})
	ask := func(from, given string) int {
		r := httptest.NewRequest(http.MethodGet, Path+"api/queues", http.NoBody)
		r.RemoteAddr = from
		r.SetBasicAuth(user, given)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code == http.StatusTooManyRequests && rec.Header().Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		return rec.Code
	}
	answers := map[int]int{}
	for range 500 {
		answers[ask("192.0.2.7:1000", "wrong")]++
	}
	if answers[http.StatusTooManyRequests] < 400 {
		t.Errorf("500 wrong passwords at once: %v", answers)
	}
	if got := ask("192.0.2.8:1000", password); got != http.StatusOK {
		t.Errorf("another address gets %d", got)
	}
}
