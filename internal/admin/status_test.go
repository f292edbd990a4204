package admin

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/session"
)

// named is the name with an id.
func named(t testing.TB, id string) session.Name {
	t.Helper()
	name, err := session.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// enqueue has sessions wait for a worker.
func enqueue(t testing.TB, rdb redis.UniversalClient, ids ...string) {
	t.Helper()
	for _, id := range ids {
		name := named(t, id)
		task, err := queue.NewFollowTask(session.Job{Account: name.Account(), Token: name.Token(), Method: session.SmartID})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := asynq.NewClientFromRedisClient(rdb).Enqueue(task); err != nil {
			t.Fatal(err)
		}
	}
}

// archive takes a session out of the queue.
func archive(t testing.TB, rdb redis.UniversalClient, id string) {
	t.Helper()
	if err := asynq.NewInspectorFromRedisClient(rdb).ArchiveTask(queue.Follow, id); err != nil {
		t.Fatal(err)
	}
}

func TestStatus_OfWhatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		enqueue(t, rdb, "default:archived", "shop:other")
		archive(t, rdb, "default:archived")
		sessions := New(rdb, session.Shards{})
		for _, id := range []string{"default:unknown", "default:archived", "default:other"} {
			if status, err := sessions.Status(t.Context(), named(t, id)); !errors.Is(err, ErrNoSession) || status != (Status{}) {
				t.Errorf("%s: %+v, %v", id, status, err)
			}
			if status, err := sessions.Cancel(t.Context(), named(t, id)); !errors.Is(err, ErrNoSession) || status != (Status{}) {
				t.Errorf("cancelling %s: %+v, %v", id, status, err)
			}
			if err := sessions.Redeliver(t.Context(), named(t, id)); !errors.Is(err, ErrNoRecord) {
				t.Errorf("redelivering %s: %v", id, err)
			}
		}
		if status, err := sessions.Status(t.Context(), named(t, "shop:other")); err != nil || status != (Status{Account: "shop", Token: "other", State: Waiting}) {
			t.Errorf("%+v, %v", status, err)
		}
		rdb.HSet(t.Context(), "identwatch:default:later", "v", 2, "state", "elsewhere")
		rdb.HSet(t.Context(), "identwatch:default:strange", "v", 1, "state", "elsewhere")
		for _, id := range []string{"default:later", "default:strange"} {
			if _, err := sessions.Status(t.Context(), named(t, id)); !errors.Is(err, ErrRecordVersion) || strings.Contains(err.Error(), "elsewhere") {
				t.Errorf("%s: %v", id, err)
			}
		}
	})
}

// Somebody put one session's payload under another's id.
func TestCancel_LeavesAChangedTaskAlone(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		task, err := queue.NewFollowTask(session.Job{Token: "b", Method: session.SmartID})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := asynq.NewClientFromRedisClient(rdb).Enqueue(task, asynq.TaskID("default:a")); err != nil {
			t.Fatal(err)
		}
		status, err := New(rdb, session.Shards{}).Cancel(t.Context(), named(t, "default:a"))
		records := outcome.NewStore(outcome.Config{Redis: rdb})
		if r, _ := records.Read(t.Context(), outcome.Session{ID: "default:a"}); !errors.Is(err, queue.ErrOtherSession) || status != (Status{}) || r.State != outcome.None {
			t.Errorf("%+v, %v, the record is %q", status, err, r.State)
		}
	})
}

// The names are those of the HTTP API, and what there is not is left out.
func TestStatus_AsJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 5, 0, 0, 123e6, time.UTC)
	for want, status := range map[string]Status{
		`{"account":"shop","token":"a","state":"waiting","attempts":0,"removals":0}`: {Account: "shop", Token: "a", State: Waiting},
		`{"account":"shop","token":"a","state":"delivering","outcome":"identification.failed","reason":"not_found","removal":"pending",` +
			`"polls":7,"attempts":2,"removals":1,"last_error":"HTTP 503","last_trouble":"timed out","started_at":"2026-11-22T05:00:00.123Z",` +
			`"final_at":"2026-11-22T05:00:00.123Z","ended_at":"2026-11-22T05:00:00.123Z","removed_at":"2026-11-22T05:00:00.123Z",` +
			`"kept_until":"2026-11-22T05:00:00.123Z","next_attempt_at":"2026-11-22T05:00:00.123Z"}`: {
			"shop", "a", Delivering, "identification.failed", "not_found", "pending", 7, 2, 1, "HTTP 503", "timed out", at, at, at, at, at, at,
		},
	} {
		if got, err := json.Marshal(status); err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}
