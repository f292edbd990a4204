package doctor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/tasks"
)

func TestExamine_WithoutRedisAsksItOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "geheim")
	for url, want := range map[string]string{
		"redis://:geheim@127.0.0.1:1/0?max_retries=-1": "connection refused",
		"redis://" + server.Addr + "/0":                "NOAUTH",
		"redis://u:geheim2@" + server.Addr + "/0":      "WRONGPASS",
		"redis://:geheim@" + server.Addr + "/99":       "DB index is out of range",
	} {
		rdb, err := tasks.OpenRedis(url)
		if err != nil {
			t.Fatal(err)
		}
		defer rdb.Close()
		p := newPractice(t, rdb)
		checks, text := p.examine()
		if c := checks["redis"]; c.Status != Failed || !strings.Contains(c.Detail, want) || !strings.Contains(c.Advice, "REDIS_URL") {
			t.Errorf("%s: %+v", want, c)
		}
		for _, name := range []string{"redis_access", "clock", "shards", "workers"} {
			if c := checks[name]; c.Status != Skipped || c.Detail != "Redis cannot be used" {
				t.Errorf("%s: %+v", name, c)
			}
		}
		if checks["marksign"].Status != OK || checks["callback"].Status != OK || !strings.HasSuffix(strings.TrimSpace(strings.SplitAfter(text, "skipped\n")[0]), "1 failed, 4 ok, 4 skipped") {
			t.Errorf("the accounts mind:\n%s", text)
		}
	}
}

func TestExamine_WarnsOfAnUnsafeRedisAndIdleQueues(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t, "--maxmemory-policy", "allkeys-lru").Client()
	p := newPractice(t, rdb)
	check := func(name string, status Status, detail, advice string) {
		t.Helper()
		checks, _ := p.examine()
		if c := checks[name]; c.Status != status || !strings.HasSuffix(c.Detail, detail) || c.Advice != advice {
			t.Errorf("%+v", c)
		}
	}
	check("redis", Warning, "; maxmemory-policy is allkeys-lru, so a full Redis silently loses sessions; appendonly is off, so a restart of Redis loses what came after the last snapshot",
		"set maxmemory-policy noeviction; set appendonly yes")
	check("workers", Warning, "no worker runs, so sessions wait", "start 'identwatch serve'")
	startWorkers(t, rdb, queue.Follow, queue.Follow, queue.Deliver)
	check("workers", Warning, "2 workers run, and none serves identwatch-remove", "start 'identwatch serve' anew")
	if err := asynq.NewInspectorFromRedisClient(rdb).PauseQueue(queue.Follow); err != nil {
		t.Fatal(err)
	}
	check("workers", Warning, "identwatch-remove; paused: identwatch-follow", "start 'identwatch serve' anew; resume what is paused, for example under /monitor with MONITOR_WRITE=true")
}

// An embedded Redis says nothing of its version.
func TestExamine_RefusesARedisThatWillNotDo(t *testing.T) {
	t.Parallel()
	rdb, m := redistest.Embedded()
	defer m.Close()
	defer rdb.Close()
	m.SetTime(time.Now().Add(-time.Minute))
	checks, _ := newPractice(t, rdb).examine()
	if c := checks["redis"]; c.Status != Failed || !strings.Contains(c.Detail, "needs Redis 7") {
		t.Errorf("%+v", c)
	}
	if c := checks["clock"]; c.Status != Failed || !strings.Contains(c.Detail, "s ahead") {
		t.Errorf("a minute off: %+v", c)
	}
	if c := checks["workers"]; c.Status != Warning || !strings.Contains(c.Detail, "no worker runs") {
		t.Errorf("%+v", c)
	}
}

// A Redis that does not know AUTH quotes the password.
func TestFailedBy_QuotesNoArguments(t *testing.T) {
	t.Parallel()
	err := errors.New("ERR unknown command 'auth', with args beginning with: 'geheim'")
	if f := failedBy(err, ""); f.detail != "ERR unknown command 'auth'" {
		t.Errorf("%+v", f)
	}
}
