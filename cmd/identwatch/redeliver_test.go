package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
)

// givenUp makes the records of given-up deliveries.
func givenUp(t *testing.T, server *redistest.Server, account, callbackURL string, tokens ...string) {
	t.Helper()
	keys, err := outcome.NewKeyring(bytes.Repeat([]byte{1}, outcome.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	store := outcome.NewStore(outcome.Config{Redis: server.Client(), Keyring: keys, DeliveryWindow: time.Hour, RedeliveryWindow: time.Hour})
	for _, token := range tokens {
		job := session.Job{Token: token, Method: session.SmartID, CallbackURL: callbackURL, Account: account, Retention: time.Hour}
		task, err := queue.NewDeliverTask(job)
		if err != nil {
			t.Fatal(err)
		}
		session := outcome.Session{ID: job.ID(), Retention: time.Hour}
		_, err = store.Seal(t.Context(), session, outcome.Result{Type: "identification.completed", Time: time.Now(), Body: []byte("PERSONAL"), Instructions: new(outcome.Instructions)}, "a", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if change, err := store.GiveUp(t.Context(), session, "a", "HTTP 500", task.Payload()); err != nil || !change.Applied {
			t.Fatal(change.Applied, err)
		}
	}
}

// redelivered returns the tokens that are to be delivered again.
func redelivered(t *testing.T, server *redistest.Server) []string {
	t.Helper()
	infos, err := asynq.NewInspectorFromRedisClient(server.Client()).ListPendingTasks(queue.Deliver, asynq.PageSize(10_000))
	if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
		t.Fatal(err)
	}
	var list []string
	for _, info := range infos {
		list = append(list, strings.TrimPrefix(info.ID, "default:"))
	}
	slices.Sort(list)
	return list
}

func TestRedeliver_ChoosesByTokenHostAndTime(t *testing.T) {
	for _, row := range []struct {
		args  string
		want  string // the tokens that are delivered again
		code  int
		shown []string // on standard error
	}{
		{"b1", "b1", exitDone, []string{"redelivering 1, refused 0"}},
		{"a1 delivered unknown bad/token", "a1", exitFailed, []string{
			`"delivered": delivered already: its data is erased`, `"unknown": no record of this session`, `"bad/token": token may hold`,
			"redelivering 1, refused 3",
		}},
		{"--all", "a1 a2 b1 shop:s1", exitDone, []string{"redelivering 4, refused 0"}},
		{"--all --dry-run", "", exitDone, []string{"would redeliver 4, refused 0"}},
		{"a1 --dry-run", "", exitDone, []string{"would redeliver 1, refused 0"}},
		{"--host b.example:8443", "b1", exitDone, []string{"redelivering 1, refused 0"}},
		{"--host default.example", "a1 a2 shop:s1", exitDone, []string{"redelivering 3, refused 0"}},
		{"--host nobody.example", "", exitDone, []string{"redelivering 0, refused 0"}},
		{"--since 1h", "a1 a2 b1 shop:s1", exitDone, nil},
		{"--since 2999-01-01T00:00:00Z", "", exitDone, nil},
		{"--since 1h --host b.example:8443", "b1", exitDone, nil},
		{"--account second a1", "", exitFailed, []string{`"second:a1": no record of this session`}},
		{"--account shop s1", "shop:s1", exitDone, []string{"redelivering 1, refused 0"}},
		{"--account shop --all", "shop:s1", exitDone, []string{"redelivering 1, refused 0"}},
		{"--account default --since 1h", "a1 a2 b1", exitDone, nil},
		{"--account shop", "", exitUsage, []string{"nothing is chosen"}},
		{"", "", exitUsage, []string{"nothing is chosen"}},
		{"a1 --all", "", exitUsage, []string{"but not both"}},
		{"--since yesterday", "", exitUsage, []string{"--since", "neither a time"}},
	} {
		t.Run(row.args, func(t *testing.T) {
			server := redistest.Start(t)
			environmentOf(t, map[string]string{"REDIS_URL": server.URL(), "CALLBACK_URL": "https://default.example/hook"})
			givenUp(t, server, "", "", "a1", "a2")
			givenUp(t, server, "shop", "", "s1")
			givenUp(t, server, "", "https://b.example:8443/hook", "b1")
			server.Client().HSet(t.Context(), "identwatch:default:delivered", "v", 1, "state", "delivered")
			code, stdout, stderr := exec(t, "", append([]string{"redeliver"}, strings.Fields(row.args)...)...)
			if code != row.code {
				t.Errorf("exit %d, want %d: %s", code, row.code, stderr)
			}
			if got := strings.Join(redelivered(t, server), " "); got != row.want {
				t.Errorf("delivered again are %q, want %q", got, row.want)
			}
			for _, want := range row.shown {
				if !strings.Contains(stderr, want) {
					t.Errorf("standard error lacks %q: %s", want, stderr)
				}
			}
			for token := range strings.FieldsSeq(row.want) {
				if !strings.Contains(stdout, strings.TrimPrefix(token, "shop:")+" ") || !strings.Contains(stdout, "HTTP 500") {
					t.Errorf("standard output lacks %s: %s", token, stdout)
				}
			}
		})
	}
}

// Repeating it makes no second task, and loses none.
func TestRedeliver_IsSafeToRepeat(t *testing.T) {
	server := redistest.Start(t)
	environmentOf(t, map[string]string{"REDIS_URL": server.URL()})
	var tokens []string
	for i := range 200 {
		tokens = append(tokens, fmt.Sprintf("a%03d", i))
	}
	givenUp(t, server, "", "", tokens...)
	for range 3 {
		if code, _, stderr := exec(t, "", "redeliver", "--all"); code != exitDone || stderr != "redelivering 200, refused 0\n" {
			t.Fatalf("exit %d, %s", code, stderr)
		}
	}
	if got := redelivered(t, server); !slices.Equal(got, tokens) {
		t.Errorf("%d are delivered again", len(got))
	}
}

func TestRedeliver_SaysWhereRedisIsDown(t *testing.T) {
	environmentOf(t, map[string]string{"REDIS_URL": "redis://127.0.0.1:1/0"})
	code, _, stderr := exec(t, "", "redeliver", "--all")
	if code != exitFailed || !strings.Contains(stderr, "Redis at REDIS_URL cannot be used") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
