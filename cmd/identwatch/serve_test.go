package main

import (
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/webhook"
)

// world is a simulator and a receiver that run, and the environment of serve.
type world struct {
	simulator, receiver string // base URLs
}

func newWorld(t *testing.T, redisURL string, simulate ...string) world {
	t.Helper()
	variables := secrets()
	variables["REDIS_URL"] = redisURL
	maps.Copy(variables, map[string]string{
		"CALLBACK_ALLOW_HTTP": "true", "CALLBACK_ALLOW_NETWORKS": "127.0.0.0/8", "LEASE": "3s", "POLL_PACE": "200ms",
	})
	environmentOf(t, variables)
	sim := start(t, nil, append([]string{"simulate", "--listen", "127.0.0.1:0"}, simulate...)...)
	rec := start(t, nil, "receive", "--listen", "127.0.0.1:0")
	w := world{
		simulator: sim.stdout.match(t, `simulated MarkSign at (http://\S+):`),
		receiver:  rec.stdout.match(t, `receiver at (http://\S+):`),
	}
	t.Setenv("MARKSIGN_URL", w.simulator)
	t.Setenv("CALLBACK_URL", w.receiver+"/")
	return w
}

// startServe starts a service and returns its base URL.
func startServe(t *testing.T) (*process, string) {
	t.Helper()
	p := start(t, nil, "serve")
	return p, "http://" + p.stderr.match(t, `"identwatch starts".*"listen":"([^"]+)"`)
}

func isReady(t *testing.T, base string) bool {
	t.Helper()
	status, _ := get(t, base+"/readyz")
	return status == http.StatusOK
}

func (w world) sessions(t *testing.T) []marksim.Report {
	t.Helper()
	var sessions []marksim.Report
	getJSON(t, w.simulator+"/simulator/sessions", &sessions)
	return sessions
}

func (w world) events(t *testing.T) (byToken map[string][]receiver.Seen, refused int) {
	t.Helper()
	var answer struct {
		Events  []receiver.Seen
		Refused int
	}
	getJSON(t, w.receiver+"/receiver/events", &answer)
	byToken = map[string][]receiver.Seen{}
	for _, e := range answer.Events {
		byToken[e.Token] = append(byToken[e.Token], e)
	}
	return byToken, answer.Refused
}

func (w world) allRemoved(t *testing.T) bool {
	t.Helper()
	for _, s := range w.sessions(t) {
		if s.RemovedAt.IsZero() {
			return false
		}
	}
	return true
}

func TestServe_FollowsDeliversAndRemoves(t *testing.T) {
	redis := redistest.Start(t, "--appendonly", "yes")
	tokens := filepath.Join(t.TempDir(), "tokens.txt")
	w := newWorld(t, redis.URL(), "--sessions", "20", "--sessions-file", tokens, "--confirm-between", "500ms,2s")
	serve, base := startServe(t)
	eventually(t, "readiness", func() bool { return isReady(t, base) })
	args := []string{"enqueue"}
	for _, s := range w.sessions(t) {
		args = append(args, s.Token)
	}
	if code, _, stderr := exec(t, "", args...); code != exitDone || stderr != "enqueued 20, refused 0\n" {
		t.Fatalf("enqueue: exit %d, %s", code, stderr)
	}
	eventually(t, "removal of all sessions", func() bool { return w.allRemoved(t) })
	if code := serve.stop(t); code != exitDone {
		t.Errorf("serve: exit %d", code)
	}
	events, refused := w.events(t)
	for _, s := range w.sessions(t) {
		got := events[s.Token]
		if len(got) != 1 || got[0].Count != 1 || got[0].Acked != 1 || got[0].Type != webhook.Completed {
			t.Errorf("%s: got events %+v", s.Token, got)
		}
		if s.Removes != 1 || len(got) == 1 && s.RemovedAt.Before(got[0].AckedAt) {
			t.Errorf("%s: removed %d times, or before the event was acknowledged", s.Token, s.Removes)
		}
	}
	if refused != 0 {
		t.Errorf("%d requests were refused", refused)
	}
	for _, word := range []string{"VARDENIS", "10101010", "access-token-1", key(32, 1), key(32, 2)} {
		if strings.Contains(serve.stderr.String(), word) {
			t.Errorf("the log shows %s", word)
		}
	}
}

func TestServe_IsNotReadyWhileItStops(t *testing.T) {
	redis := redistest.Start(t)
	newWorld(t, redis.URL())
	t.Setenv("SHUTDOWN_TIMEOUT", "20s")
	serve, base := startServe(t)
	eventually(t, "readiness", func() bool { return isReady(t, base) })
	serve.signal()
	if status, body := get(t, base+"/readyz"); status == http.StatusOK {
		t.Errorf("readyz answers %d %s after the signal", status, body)
	}
	if code := serve.code(t); code != exitDone {
		t.Errorf("exit %d", code)
	}
	if status, _ := get(t, base+"/healthz"); status != 0 {
		t.Errorf("healthz answers %d after the end", status)
	}
}

func TestServe_WaitsForRedis(t *testing.T) {
	redis := redistest.Start(t)
	redis.Kill()
	newWorld(t, redis.URL())
	serve, base := startServe(t)
	serve.stderr.match(t, `"Redis cannot be reached`)
	if status, body := get(t, base+"/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "waiting for Redis") {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, _ := get(t, base+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	redis.Restart()
	eventually(t, "readiness", func() bool { return isReady(t, base) })
	serve.stderr.match(t, `"level":"WARN".*appendonly is off`)
	redis.Kill()
	eventually(t, "unreadiness", func() bool { return !isReady(t, base) })
	redis.Restart()
	eventually(t, "readiness again", func() bool { return isReady(t, base) })
}

func TestServe_StopsWhileItWaitsForRedis(t *testing.T) {
	newWorld(t, "redis://127.0.0.1:1")
	serve, _ := startServe(t)
	serve.stderr.match(t, `"Redis cannot be reached`)
	if code := serve.stop(t); code != exitDone {
		t.Errorf("exit %d", code)
	}
}

func TestServe_FailsWhereRedisRefuses(t *testing.T) {
	locked := redistest.Start(t)
	if err := locked.Client().ConfigSet(t.Context(), "requirepass", "geheim").Err(); err != nil {
		t.Fatal(err)
	}
	cluster := redistest.Start(t, "--cluster-enabled", "yes")
	for name, test := range map[string]struct{ url, want string }{
		"no password":    {locked.URL(), "NOAUTH"},
		"wrong password": {strings.Replace(locked.URL(), "//", "//:falsch@", 1), "WRONGPASS"},
		"no database":    {"redis://:geheim@" + locked.Addr + "/99", "DB index is out of range"},
		"cluster":        {cluster.URL(), "cluster mode"},
	} {
		t.Run(name, func(t *testing.T) {
			variables := secrets()
			variables["REDIS_URL"] = test.url
			environmentOf(t, variables)
			code, _, stderr := exec(t, "", "serve")
			last := stderr[strings.LastIndex(strings.TrimSpace(stderr), "\n")+1:]
			if code != exitFailed || !strings.Contains(last, test.want) || strings.Contains(stderr, "falsch") || strings.Contains(stderr, "geheim") {
				t.Errorf("exit %d, %s", code, stderr)
			}
		})
	}
}

func TestServe_FailsWhereListenIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	variables := secrets()
	variables["REDIS_URL"], variables["LISTEN"] = "redis://127.0.0.1:1", taken.Addr().String()
	environmentOf(t, variables)
	if code, _, stderr := exec(t, "", "serve"); code != exitFailed || !strings.Contains(stderr, "opening LISTEN: ") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestServe_LogsThePublicKeyThatReceiversNeed(t *testing.T) {
	newWorld(t, "redis://127.0.0.1:1")
	t.Setenv("WEBHOOK_SIGNING_KEY", "whsk_"+key(32, 7))
	signing, err := webhook.ParseSigningKey("whsk_" + key(32, 7))
	if err != nil {
		t.Fatal(err)
	}
	serve, _ := startServe(t)
	if got := serve.stderr.match(t, `"public_key":"([^"]+)"`); got != signing.Public().String() {
		t.Errorf("got %s", got)
	}
}
