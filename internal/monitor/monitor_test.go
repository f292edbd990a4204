package monitor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

const (
	user     = "operator"
	password = "correct horse: battery"
)

// mounted is the handler as a service mounts it.
func mounted(opts Options) http.Handler {
	opts.User, opts.Password = user, password
	mux := http.NewServeMux()
	mux.Handle(Path, New(opts))
	return mux
}

// embedded returns an embedded Redis with a queue of so many pending tasks.
func embedded(t *testing.T, pending int) *redis.Client {
	t.Helper()
	rdb, m := redistest.Embedded()
	t.Cleanup(func() { _ = rdb.Close(); m.Close() })
	client := asynq.NewClientFromRedisClient(rdb)
	for i := range pending {
		if _, err := client.Enqueue(asynq.NewTask("kind", []byte(`{"n":1}`), asynq.TaskID(fmt.Sprint("task-", i)), asynq.Queue("somewhere"))); err != nil {
			t.Fatal(err)
		}
	}
	return rdb
}

// request asks with the login; a header is "Name: value".
func request(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, http.NoBody)
	r.SetBasicAuth(user, password)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// changes are asynqmon's calls that change something, one of each kind.
var changes = []struct{ method, path string }{
	{"DELETE", "queues/somewhere"},
	{"POST", "queues/somewhere:pause"},
	{"POST", "queues/somewhere:resume"},
	{"POST", "queues/somewhere/active_tasks:cancel_all"},
	{"POST", "queues/somewhere/pending_tasks/task-0:archive"},
	{"POST", "queues/somewhere/pending_tasks:archive_all"},
	{"POST", "queues/somewhere/pending_tasks:batch_delete"},
	{"DELETE", "queues/somewhere/pending_tasks/task-0"},
	{"DELETE", "queues/somewhere/pending_tasks:delete_all"},
}

func TestReadOnly_ChangesNothing(t *testing.T) {
	t.Parallel()
	rdb := embedded(t, 2)
	before, err := redistest.Dump(t.Context(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	h := mounted(Options{Redis: rdb})
	for _, change := range changes {
		for _, method := range []string{change.method, "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "post", "delete"} {
			rec := request(h, method, Path+"api/"+change.path, "X-Http-Method-Override: GET", "Sec-Fetch-Site: same-origin")
			if rec.Code != 405 || rec.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: got %d", method, change.path, rec.Code)
			}
		}
		request(h, "GET", Path+"api/"+change.path, "X-Http-Method-Override: "+change.method)
	}
	if rec := request(h, "POST", Path); rec.Code != 405 {
		t.Errorf("posting to the page: got %d", rec.Code)
	}
	if after, err := redistest.Dump(t.Context(), rdb); err != nil || after != before {
		t.Errorf("%v; before\n%s\nafter\n%s", err, before, after)
	}
}

func TestWrite_ChangesTasksOfTheSameOriginAlone(t *testing.T) {
	t.Parallel()
	rdb := embedded(t, 2)
	h := mounted(Options{Redis: rdb, Write: true})
	archive := Path + "api/queues/somewhere/pending_tasks/task-0:archive"
	for _, foreign := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example", "Origin: null"} {
		if rec := request(h, "POST", archive, foreign); rec.Code != 403 {
			t.Errorf("%s: got %d", foreign, rec.Code)
		}
	}
	if rec := request(h, "POST", Path, "Sec-Fetch-Site: same-origin"); rec.Code != 405 {
		t.Errorf("posting to the page: got %d", rec.Code)
	}
	for i, own := range []string{"Sec-Fetch-Site: same-origin", "Origin: http://example.com"} { // the host of httptest
		task := fmt.Sprint("task-", i)
		if rec := request(h, "POST", Path+"api/queues/somewhere/pending_tasks/"+task+":archive", own); rec.Code != 204 {
			t.Errorf("%s: got %d %s", own, rec.Code, rec.Body)
		}
		if info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo("somewhere", task); err != nil || info.State != asynq.TaskStateArchived {
			t.Errorf("%s: %v is %v", own, task, err)
		}
	}
}

func TestEveryAnswer_IsGuarded(t *testing.T) {
	t.Parallel()
	h := mounted(Options{Redis: embedded(t, 1)})
	get := func(path string) http.Header { return request(h, "GET", path).Header() }
	unknown := httptest.NewRecorder()
	h.ServeHTTP(unknown, httptest.NewRequest(http.MethodGet, Path, http.NoBody))
	for name, header := range map[string]http.Header{
		"the page": get(Path), "a view": get(Path + "servers"), "a call": get(Path + "api/queues"), "Redis": get(Path + "api/redis_info"),
		"no such call": get(Path + "api/none"), "an icon": get(Path + "favicon.ico"), "no file": get(Path + "static/none.js"),
		"a refused call": request(h, "POST", Path+"api/queues/somewhere:pause").Header(), "no login": unknown.Header(),
	} {
		for field, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := header.Get(field); got != want {
				t.Errorf("%s: %s is %q", name, field, got)
			}
		}
		policy := header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", name, policy)
		}
	}
}

func TestUnknown_IsNotFound(t *testing.T) {
	t.Parallel()
	h := New(Options{Redis: embedded(t, 1), User: user, Password: password})
	for _, path := range []string{
		"/", "/monitor", "/monitoring/", "/monitor/static/js/none.js", "/monitor/none.ico", "/monitor/api/", "/monitor/api/none",
		"/monitor/api/metrics?duration=60", "/monitor/../x", "/monitor//api/queues", "/monitor/%2e%2e/x", "/monitor/api/queues/somewhere/tasks/none",
	} {
		if rec := request(h, "GET", path); rec.Code != 404 || rec.Body.Len() > 100 {
			t.Errorf("%s: got %d %.200s", path, rec.Code, rec.Body)
		}
	}
}
