package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	shipped "github.com/identwatch/identwatch/internal/monitor"
	"github.com/identwatch/identwatch/internal/queue"
)

// monitor is asynqmon as the service mounts it, by its API: what an operator sees
// and does.
type monitor struct {
	t *testing.T
	h http.Handler
}

func (w *world) monitor() *monitor {
	w.t.Helper()
	return &monitor{w.t, shipped.New(shipped.Options{Redis: w.rdb, Open: true, Write: true})}
}

// do makes a call to the API and returns the HTTP status and the body.
func (m *monitor) do(method, path string) (int, []byte) {
	rec := httptest.NewRecorder()
	m.h.ServeHTTP(rec, httptest.NewRequest(method, shipped.Path+"api"+path, http.NoBody))
	return rec.Code, rec.Body.Bytes()
}

// must is do, where the call has to succeed.
func (m *monitor) must(method, path string) []byte {
	m.t.Helper()
	code, body := m.do(method, path)
	if code < 200 || code > 299 {
		m.t.Fatalf("asynqmon: %s %s: %d %s", method, path, code, body)
	}
	return body
}

// shown is a task as asynqmon shows it.
type shown struct {
	ID      string `json:"id"`
	State   string `json:"state"`
	Message string `json:"error_message"`
	Result  string `json:"result"`
}

func (m *monitor) task(queue, token string) shown {
	m.t.Helper()
	var s shown
	if err := json.Unmarshal(m.must("GET", "/queues/"+queue+"/tasks/default:"+token), &s); err != nil {
		m.t.Fatal(err)
	}
	return s
}

// run runs a waiting task early, as the button does. It reports whether there
// was one to run.
func (m *monitor) run(queue, token string) bool {
	code, _ := m.do("POST", "/queues/"+queue+"/retry_tasks/default:"+token+":run")
	return code < 300
}

// everything is each page that asynqmon has.
func (m *monitor) everything() []byte {
	var all []byte
	add := func(path string) {
		_, body := m.do("GET", path)
		all = append(append(all, body...), '\n')
	}
	for _, path := range []string{"/queues", "/queue_stats", "/servers", "/scheduler_entries", "/redis_info"} {
		add(path)
	}
	for _, queue := range []string{queue.Follow, queue.Deliver, queue.Remove} {
		add("/queues/" + queue)
		for _, state := range []string{"active", "pending", "scheduled", "retry", "archived", "completed"} {
			add("/queues/" + queue + "/" + state + "_tasks?page=1&size=500")
		}
	}
	return all
}
