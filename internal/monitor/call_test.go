package monitor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

func TestLists_AreBounded(t *testing.T) {
	t.Parallel()
	const all = maxTasks + 20
	h := mounted(Options{Redis: embedded(t, all)})
	for query, want := range map[string]int{
		"": 20, "size=30": 30, "page=2&size=100": 100, "page=6&size=100": 20, "page=0&size=10": 10, "page=-5&size=10": 10,
		"size=0": 1, "size=-1": 1, "size=100000": maxTasks, "size=9223372036854775807&page=9223372036854775807": 0,
		"size=99999999999999999999": 20, "size=x&page=y": 20, "size=%zz": 20, "page=1000001": 0,
	} {
		rec := request(h, "GET", Path+"api/queues/somewhere/pending_tasks?"+query)
		var list struct{ Tasks []struct{ ID string } }
		if err := json.Unmarshal(rec.Body.Bytes(), &list); err != nil || rec.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %v: %d %s", query, err, rec.Code, rec.Body)
		}
		if len(list.Tasks) != want {
			t.Errorf("%s: got %d tasks, want %d", query, len(list.Tasks), want)
		}
	}
}

func TestRedisInfo_ShowsWhatThereIs(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		rec := request(mounted(Options{Redis: rdb}), "GET", Path+"api/redis_info")
		var info redisInfo
		if err := json.Unmarshal(rec.Body.Bytes(), &info); err != nil {
			t.Fatalf("%v: %d %s", err, rec.Code, rec.Body)
		}
		if info.Address != rdb.Options().Addr || !strings.Contains(info.Raw, "connected_clients") {
			t.Errorf("got %+v", info)
		}
		isReal := strings.Contains(info.Raw, "redis_version")
		if (info.Fields != nil) != isReal || isReal && (info.Fields["uptime_in_days"] != "0" || strings.ContainsAny(info.Fields["redis_version"], "\r\n")) {
			t.Errorf("real: %t; got the fields %q", isReal, info.Fields)
		}
	})
}

func TestAddress_IsThatOfRedisOrSentinel(t *testing.T) {
	t.Parallel()
	behind := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}, SentinelPassword: "hidden"})
	defer behind.Close()
	if got := address(behind); got != "the primary that Sentinel names" {
		t.Errorf("got %q", got)
	}
	if rec := request(mounted(Options{Redis: behind}), "GET", Path); rec.Code != 200 {
		t.Errorf("the page: got %d", rec.Code)
	}
}

// TestRedisGone_IsSaidAndLogged also finds that the client is not closed by what
// borrowed it: it would fail in another way.
func TestRedisGone_IsSaidAndLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Username: "worker", Password: "redis-password", MaxRetries: -1})
	defer rdb.Close()
	h := mounted(Options{Redis: rdb, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, call := range []string{"queues", "redis_info", "servers", "queues/identwatch-follow/retry_tasks?size=20&page=1"} {
		rec := request(h, "GET", Path+"api/"+call)
		if rec.Code != 500 || !strings.Contains(rec.Body.String(), "refused") {
			t.Errorf("%s: got %d %s", call, rec.Code, rec.Body)
		}
		if strings.Contains(rec.Body.String(), "redis-password") {
			t.Errorf("%s: %s", call, rec.Body)
		}
	}
	for _, want := range []string{"call=queues ", "call=redis_info ", "call=servers ", "call=queues/identwatch-follow/retry_tasks "} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), "redis-password") {
		t.Errorf("the log shows a password:\n%s", &log)
	}
	if rec := request(h, "GET", Path); rec.Code != 200 {
		t.Errorf("the page: got %d", rec.Code)
	}
}

func TestReadable_ShowsTextAndBoundsIt(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", maxShown+1)
	for data, want := range map[string]string{
		"":                          "",
		`{"token":"a","n":[1]}`:     `{"token":"a","n":[1]}`,
		"\xff\x00text\n":            `"\xff\x00text\n"`,
		`"` + long[:maxShown] + `"`: `"\"` + long[:maxShown-1] + fmt.Sprintf(`"… (%d bytes in all)`, maxShown+2),
	} {
		if got := readable("", []byte(data)); got != want {
			t.Errorf("got  %.100s\nwant %.100s", got, want)
		}
	}
}

// TestCalls_HoldFewConnections has more calls come in than may ask Redis at once.
func TestCalls_HoldFewConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asking, finished atomic.Int32
		leave := make(chan struct{})
		m := &monitor{calls: make(chan struct{}, maxCalls), log: slog.New(slog.DiscardHandler)}
		m.asynqmon = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			asking.Add(1)
			<-leave
			asking.Add(-1)
		})
		start := func(ctx context.Context) {
			go func() {
				m.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, Path+"api/queues", http.NoBody).WithContext(ctx))
				finished.Add(1)
			}()
		}
		expect := func(when string, a, f int32) {
			t.Helper()
			synctest.Wait()
			if asking.Load() != a || finished.Load() != f {
				t.Errorf("%s %d calls ask, and %d finished; want %d and %d", when, asking.Load(), finished.Load(), a, f)
			}
		}
		for range maxCalls + 2 {
			start(t.Context())
		}
		expect("with two too many", maxCalls, 0)
		gone, cancel := context.WithCancel(t.Context())
		start(gone)
		cancel()
		expect("when a client has gone", maxCalls, 1)
		leave <- struct{}{}
		expect("when one was answered", maxCalls, 2)
		close(leave)
		expect("at the end", 0, maxCalls+3)
	})
}
