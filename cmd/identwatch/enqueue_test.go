package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
)

// followed returns the tasks that are to be followed.
func followed(t *testing.T, s *redistest.Server) map[string]session.Job {
	t.Helper()
	infos, err := asynq.NewInspectorFromRedisClient(s.Client()).ListPendingTasks(queue.Follow, asynq.PageSize(10_000))
	if err != nil {
		t.Fatal(err)
	}
	sessions := map[string]session.Job{}
	for _, info := range infos {
		f, err := queue.Decode(info.Payload)
		if err != nil {
			t.Fatal(err)
		}
		sessions[f.Token] = f
	}
	return sessions
}

func TestEnqueue_StreamGoesOnPastRefusedLines(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL()})
	if code, _, stderr := exec(t, "", "enqueue", "known"); code != exitDone || stderr != "enqueued 1, refused 0\n" {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	input := "first\r\n\r\n  \nbad token\nknown\n" + strings.Repeat("x", 100_000) + "\n" + strings.Repeat("y", 129) + "\n\x1b[31m\nlast"
	code, stdout, stderr := exec(t, input, "enqueue", "-")
	if code != exitFailed || stdout != "" {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
	for _, want := range []string{
		"line 4: \"bad token\": token may hold",
		"line 5: \"known\": the session is already being followed",
		"line 6: \"" + strings.Repeat("x", 60) + "\"...: the line is longer than 1024 bytes",
		"line 7: \"" + strings.Repeat("y", 60) + "\"...: token is longer than 128 characters",
		`line 8: "\x1b[31m": token may hold`,
		"enqueued 2, refused 5\n",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("standard error lacks %s", want)
		}
	}
	if got := followed(t, server); len(got) != 3 || got["first"].Token == "" || got["last"].Token == "" {
		t.Errorf("got %d sessions", len(got))
	}
}

func TestEnqueue_FlagsMakeTheSession(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL()})
	code, _, stderr := exec(t, "", "enqueue", "--method", "mobile_id", "--check", "peps, sanctions", "--reference", "order-1842",
		"--callback", "https://example.com/hook?a=b", "--locale", "en", "--account", "second", "--started-at", "2026-11-21T20:51:03Z",
		"--retention", "48h", "--", "-starts-with-a-dash")
	if code != exitDone {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	got := followed(t, server)["-starts-with-a-dash"]
	if got.Method != tasks.MobileID || len(got.Checks) != 2 || got.Reference != "order-1842" || got.Locale != "en" || got.Account != "second" ||
		got.CallbackURL != "https://example.com/hook?a=b" || got.StartedAt.Unix() != 1795294263 || got.Retention.Hours() != 48 {
		t.Errorf("got %+v", got)
	}
}

func TestEnqueue_SaysWhereRedisFailed(t *testing.T) {
	environmentOf(t, map[string]string{"REDIS_URL": "redis://:geheim@127.0.0.1:1/0"})
	code, _, stderr := exec(t, strings.Repeat("token\n", 100), "enqueue", "-")
	if code != exitFailed || strings.Count(stderr, "\n") != 2 || !strings.Contains(stderr, "connection refused") ||
		!strings.Contains(stderr, "enqueued 0, refused 0") || strings.Contains(stderr, "geheim") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}

func TestEnqueue_InterruptEndsAStreamThatIsSilent(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL()})
	stdin, typing := io.Pipe()
	defer typing.Close()
	p := start(t, stdin, "enqueue", "-")
	if _, err := typing.Write([]byte("one\ntwo\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two sessions", func() bool {
		n, _ := server.Client().LLen(context.Background(), "asynq:{identwatch-follow}:pending").Result()
		return n == 2
	})
	if code := p.stop(t); code != exitFailed || !strings.Contains(p.stderr.String(), "interrupted: enqueued 2, refused 0") {
		t.Errorf("exit %d, %s", code, p.stderr.String())
	}
}

// BenchmarkEnqueue is a stream of b.N tokens; a token should take a small part
// of a millisecond.
func BenchmarkEnqueue(b *testing.B) {
	server := redistest.Start(b)
	b.Setenv("REDIS_URL", server.URL())
	b.Setenv("REDIS_URL_FILE", "")
	var stdin bytes.Buffer
	for i := range b.N {
		fmt.Fprintf(&stdin, "token-%d\n", i)
	}
	b.ResetTimer()
	if code := run(b.Context(), []string{"enqueue", "-"}, &stdin, io.Discard, io.Discard); code != exitDone {
		b.Fatalf("exit %d", code)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

func TestEnqueue_SignsWithTaskKeys(t *testing.T) {
	server := redistest.Start(t)
	first, second, crm := tasks.NewPayloadKey(), tasks.NewPayloadKey(), tasks.NewPayloadKey()
	environmentOf(t, map[string]string{"REDIS_URL": server.URL(), "TASK_KEYS": first.Encode() + "," + second.Encode()})
	if code, _, stderr := exec(t, "", "enqueue", "a"); code != exitDone {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	t.Setenv("TASK_KEYS", "")
	t.Setenv("ACCOUNTS", "shop,crm")
	t.Setenv("CRM_TASK_KEYS", crm.Encode())
	for token, account := range map[string]string{"b": "shop", "c": "crm"} {
		if code, _, stderr := exec(t, "", "enqueue", "--account", account, token); code != exitDone {
			t.Fatalf("exit %d, %s", code, stderr)
		}
	}
	got := followed(t, server)
	if !queue.IsSigned(got["a"], first) || queue.IsSigned(got["a"], second) || queue.IsSigned(got["b"], first, second, crm) || !queue.IsSigned(got["c"], crm) {
		t.Errorf("got %+v", got)
	}
	t.Setenv("CRM_TASK_KEYS", crm.Encode()[:20])
	code, _, stderr := exec(t, "", "enqueue", "--account", "crm", "d")
	if code != exitUsage || !strings.Contains(stderr, "CRM_TASK_KEYS: is wrong at item 1") || strings.Contains(stderr, crm.Encode()[8:20]) {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

func TestEnqueue_RefusesACallbackHostThatIsNotListed(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{
		"REDIS_URL": server.URL(), "CALLBACK_URL": "https://app.example/hook", "CALLBACK_HOSTS": "*.shop.example",
	})
	for url, want := range map[string]int{
		"https://a.shop.example/": exitDone, "https://app.example/hook": exitDone, "https://thief.example/": exitUsage, "": exitDone,
	} {
		code, _, stderr := exec(t, "", "enqueue", "--callback", url, "--", "t"+strings.Trim(strings.NewReplacer("/", "-", ":", "-").Replace(url), "-"))
		if code != want || code == exitUsage && !strings.Contains(stderr, "--callback names a host that is not among CALLBACK_HOSTS") {
			t.Errorf("%s: exit %d, %s", url, code, stderr)
		}
	}
}
