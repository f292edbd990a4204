package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
)

// someSessions are one in each of some states; no worker runs.
func someSessions(t *testing.T, server *redistest.Server) {
	t.Helper()
	rdb := server.Client()
	client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []tasks.Session{{Token: "new"}, {Token: "polled"}, {Token: "stopped"}, {Token: "new", Account: "shop"}} {
		s.Method = tasks.SmartID
		if err := client.Enqueue(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := outcome.NewKeyring(bytes.Repeat([]byte{1}, outcome.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	store := outcome.NewStore(outcome.Config{Redis: rdb, Keyring: keys, SessionTimeout: time.Hour, DeliveryWindow: time.Hour})
	polled := outcome.Session{ID: "default:polled", Retention: time.Hour}
	if _, err := store.Follow(t.Context(), polled, "a", outcome.Evidence{}); err != nil {
		t.Fatal(err)
	}
	handed := outcome.Session{ID: "default:handed", Retention: time.Hour}
	result := outcome.Result{Type: "identification.refused", Reason: "canceled", Polls: 7, Time: time.Now(), Body: []byte("PERSONAL"), Instructions: new(outcome.Instructions)}
	if _, err := store.SealHanded(t.Context(), handed, result, "HTTP 503"); err != nil {
		t.Fatal(err)
	}
	stopped, err := session.ParseID("default:stopped")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.New(rdb, session.Shards{}).Cancel(t.Context(), stopped); err != nil {
		t.Fatal(err)
	}
	givenUp(t, server, "shop", "", "given")
}

func TestStatus_ShowsASession(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL()})
	someSessions(t, server)
	for _, row := range []struct {
		args  string
		shown []string // lines, without their spaces
	}{
		{"new", []string{"token new", "account default", "state waiting: enqueued; no worker took it yet"}},
		{"polled", []string{"state following: polled until the person has confirmed or refused"}},
		{"handed", []string{"state delivering: final; its event is posted until a receiver acknowledges it", "outcome identification.refused", "reason canceled", "polls 7", "last error HTTP 503"}},
		{"stopped", []string{"state cancelled: the application stopped it; nothing is posted", "removal pending"}},
		{"given --account shop", []string{"account shop", "state given_up: no receiver acknowledged the event in time", "attempts 1", "last error HTTP 500"}},
		{"-- new", []string{"token new"}},
	} {
		code, stdout, stderr := exec(t, "", append([]string{"status"}, strings.Fields(row.args)...)...)
		if code != exitDone || stderr != "" || strings.Contains(stdout, "PERSONAL") {
			t.Errorf("%s: exit %d, %s", row.args, code, stderr)
		}
		var lines []string
		for line := range strings.Lines(stdout) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		for _, want := range row.shown {
			if !slices.Contains(lines, want) {
				t.Errorf("%s: no line %q in\n%s", row.args, want, stdout)
			}
		}
	}
	for _, args := range [][]string{{"unknown"}, {"polled", "--account", "shop"}} {
		code, stdout, stderr := exec(t, "", append([]string{"status"}, args...)...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "no such session") {
			t.Errorf("%q: exit %d, %s%s", args, code, stdout, stderr)
		}
	}
}

func TestStatus_WritesJSON(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL()})
	someSessions(t, server)
	code, stdout, stderr := exec(t, "", "status", "handed", "--json")
	var got map[string]any
	if err := json.Unmarshal([]byte(stdout), &got); code != exitDone || err != nil || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("exit %d, %v, %s%s", code, err, stdout, stderr)
	}
	for _, name := range []string{"started_at", "final_at"} {
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(got[name])); err != nil || time.Since(at) > time.Minute || at.Location() != time.UTC {
			t.Errorf("%s is %v", name, got[name])
		}
		delete(got, name)
	}
	want := map[string]any{
		"account": "default", "token": "handed", "state": "delivering", "outcome": "identification.refused", "reason": "canceled",
		"polls": 7., "attempts": 0., "removals": 0., "last_error": "HTTP 503",
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSessions_ListsWhatIsChosen(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL()})
	someSessions(t, server)
	for _, row := range []struct {
		args, want, counts string
	}{
		{"", "default:handed default:new default:polled default:stopped shop:given shop:new", "6 sessions: 2 waiting, 1 following, 1 delivering, 1 given_up, 1 cancelled\n"},
		{"--account shop", "shop:given shop:new", "2 sessions: 1 waiting, 1 given_up\n"},
		{"--state following", "default:polled", "1 session: 1 following\n"},
		{"--state waiting --account default", "default:new", "1 session: 1 waiting\n"},
		{"--state removed", "", "0 sessions\n"},
		{"--limit 1 --state waiting --account shop", "shop:new", "1 session: 1 waiting\n"},
	} {
		args := append([]string{"sessions"}, strings.Fields(row.args)...)
		code, stdout, stderr := exec(t, "", append(args, "--json")...)
		var got []string
		for line := range strings.Lines(stdout) {
			var s admin.Status
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				t.Fatal(err)
			}
			got = append(got, s.Account+":"+s.Token)
		}
		slices.Sort(got)
		if code != exitDone || strings.Join(got, " ") != row.want || stderr != row.counts {
			t.Errorf("%s: exit %d, %q, %s", row.args, code, got, stderr)
		}
		code, stdout, stderr = exec(t, "", args...)
		if lines := strings.Count(stdout, "\n"); code != exitDone || stderr != row.counts || lines != len(got)+min(len(got), 1) {
			t.Errorf("%s: exit %d, %d lines, %s", row.args, code, lines, stderr)
		}
		for _, id := range got {
			if _, token, _ := strings.Cut(id, ":"); !strings.Contains(stdout, " "+token+" ") {
				t.Errorf("%s: the table lacks %s:\n%s", row.args, id, stdout)
			}
		}
	}
	code, stdout, stderr := exec(t, "", "sessions", "--limit", "2")
	if code != exitDone || strings.Count(stdout, "\n") != 3 || !strings.Contains(stderr, "2 sessions: ") || !strings.Contains(stderr, "there are more") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
}

func TestSessions_TellsOfWhatItCannotRead(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL()})
	someSessions(t, server)
	server.Client().HSet(t.Context(), "identwatch:default:later", "v", 2, "state", "SECRET")
	code, stdout, stderr := exec(t, "", "sessions")
	if code != exitFailed || strings.Count(stdout, "\n") != 7 || !strings.Contains(stderr, `"default:later": the session's record has a version`) ||
		!strings.Contains(stderr, "; 1 could not be read\n") || strings.Contains(stdout+stderr, "SECRET") {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
}

func TestInspecting_SaysWhereRedisIsDown(t *testing.T) {
	environmentOf(t, map[string]string{"REDIS_URL": "redis://:geheim@127.0.0.1:1/0"})
	for _, args := range [][]string{{"status", "a"}, {"sessions"}} {
		code, stdout, stderr := exec(t, "", args...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "Redis at REDIS_URL cannot be used") || strings.Contains(stderr, "geheim") {
			t.Errorf("%q: exit %d, %s", args, code, stderr)
		}
	}
}

func TestInspecting_SaysThatAMasterIsDown(t *testing.T) {
	cluster := redistest.StartCluster(t, 3, 0)
	t.Setenv("REDIS_URL", cluster.URL())
	if code, _, stderr := exec(t, "", "status", "unknown"); code != exitFailed || strings.Contains(stderr, "REDIS_URL") {
		t.Fatalf("exit %d, %s", code, stderr)
	}
	away := cluster.MasterOf("asynq:workers") // of shards 1 and 5
	away.Kill()
	code, stdout, stderr := exec(t, "", "sessions")
	if code != exitFailed || !strings.Contains(stderr, "a master of the cluster at REDIS_URL cannot be used") || !strings.Contains(stderr, away.Addr) {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
}

func TestSessions_StopsWhereTheOutputIsGone(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL()})
	someSessions(t, server)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer full.Close()
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"sessions"}, strings.NewReader(""), full, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("exit %d, %s", code, stderr.String())
	}
}

func TestTimes_AreShortForPeople(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "now", 900 * time.Millisecond: "now", -28 * time.Second: "in 28s", 5*time.Minute + 20*time.Second: "5m20s ago", time.Hour + time.Second: "1h ago",
		-6 * time.Hour: "in 6h", 51 * time.Hour: "2d3h ago", time.Minute: "1m ago",
	} {
		if got := relative(now.Add(-d), now); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
