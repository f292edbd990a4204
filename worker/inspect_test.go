package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
)

// status returns a session's status, which there must be.
func (w *world) status(token string) SessionStatus {
	w.t.Helper()
	status, err := w.inspector().Session(w.ctx, "", token)
	if err != nil || status.Account != tasks.DefaultAccount || status.Token != token {
		w.t.Fatalf("%+v, %v", status, err)
	}
	return status
}

func TestSession_TellsOfEachState(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(2, 503)
		w.session("a", confirming(2*time.Second))
		if s := w.status("a"); s != (SessionStatus{Account: "default", Token: "a", State: Waiting}) {
			t.Errorf("waiting: %+v", s)
		}
		w.start()
		time.Sleep(time.Second)
		if s := w.status("a"); s.State != Following || s.StartedAt.IsZero() || !s.FinalAt.IsZero() || s.Outcome != "" {
			t.Errorf("following: %+v", s)
		}
		w.await("the hand-over", 10*time.Second, func() bool { return w.record("a").State == outcome.Handed })
		time.Sleep(time.Second)
		s := w.status("a")
		if left := time.Until(s.NextAttempt); s.State != Delivering || s.Outcome != "identification.completed" || s.Polls == 0 ||
			s.Attempts != 1 || s.LastError != "HTTP 503" || left < 2*time.Second || left > 6*time.Second || !s.EndedAt.IsZero() {
			t.Errorf("delivering: %+v", s)
		}
		w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		if s := w.status("a"); s.State != Delivered || s.Attempts != 3 || s.EndedAt.Before(s.FinalAt) || s.Removal == "removed" || s.LastError != "" || !s.NextAttempt.IsZero() {
			t.Errorf("delivered: %+v", s)
		}
		w.await("the removal", time.Minute, func() bool { return w.record("a").Removal == outcome.Removed })
		if s := w.status("a"); s.State != Removed || s.Removal != "removed" || s.Removals != 1 || s.RemovedAt.Before(s.EndedAt) {
			t.Errorf("removed: %+v", s)
		}
		w.giveUp("b")
		if s := w.status("b"); s.State != Undelivered || s.Removal != "removed" || s.LastError != "HTTP 410" {
			t.Errorf("given up: %+v", s)
		}
	})
}

func TestSession_OfWhatIsNoneIsAnError(t *testing.T) {
	inWorld(t, func(w *world) {
		w.session("archived", confirming(0))
		if err := w.tasks.ArchiveTask(queue.Follow, "default:archived"); err != nil {
			t.Fatal(err)
		}
		w.session("other", confirming(0), func(s *tasks.Session) { s.Account = "shop" })
		for _, token := range []string{"unknown", "archived", "other"} {
			if status, err := w.inspector().Session(w.ctx, "", token); !errors.Is(err, ErrNoSession) || status != (SessionStatus{}) {
				t.Errorf("%s: %+v, %v", token, status, err)
			}
		}
		if status, err := w.inspector().Session(w.ctx, "shop", "other"); err != nil || status.Account != "shop" || status.State != Waiting {
			t.Errorf("%+v, %v", status, err)
		}
		w.rdb.HSet(w.ctx, "identwatch:default:later", "v", 2, "state", "elsewhere")
		w.rdb.HSet(w.ctx, "identwatch:default:strange", "v", 1, "state", "elsewhere")
		for _, token := range []string{"later", "strange"} {
			if _, err := w.inspector().Session(w.ctx, "", token); !errors.Is(err, ErrRecordVersion) || strings.Contains(err.Error(), "elsewhere") {
				t.Errorf("%s: %v", token, err)
			}
		}
		for _, s := range [][2]string{{"", ""}, {"", "a b"}, {"", "*"}, {"shop*", "a"}, {"shop:a", "b"}, {"", "a:sealed"}} {
			invalid := new(tasks.ValidationError)
			if _, err := w.inspector().Session(w.ctx, s[0], s[1]); !errors.As(err, &invalid) {
				t.Errorf("%q: %v", s, err)
			}
		}
	})
}

// sessions lists them as "account:token state", in order.
func (w *world) sessions(account string, state SessionState) (list []string) {
	w.t.Helper()
	for s, err := range w.inspector().Sessions(w.ctx, account, state) {
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s:%s %s", s.Account, s.Token, s.State))
	}
	slices.Sort(list)
	return list
}

func TestSessions_ListsEachOnceByAccountAndState(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.giveUp("given")
		w.session("done", confirming(0))
		w.awaitEnd("done", time.Minute)
		w.session("deleted", confirming(time.Hour))
		w.session("polled", confirming(time.Hour))
		time.Sleep(time.Second)
		if err := w.tasks.DeleteTask(queue.Follow, "default:deleted"); err != nil {
			t.Fatal(err)
		}
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) { return 503, 0, nil }
		w.session("failing", confirming(0))
		w.session("stopped", confirming(time.Hour))
		w.await("the hand-over", 10*time.Second, func() bool { return w.record("failing").State == outcome.Handed })
		w.cancel("stopped")
		w.session("unknown-account", confirming(0), func(s *tasks.Session) { s.Account = "shop" })
		w.session("archived", confirming(0), func(s *tasks.Session) { s.Account = "shop" })
		if err := w.tasks.ArchiveTask(queue.Follow, "shop:archived"); err != nil {
			t.Fatal(err)
		}
		ours := []string{
			"default:deleted following", "default:done removed", "default:failing delivering", "default:given given_up",
			"default:polled following", "default:stopped cancelled",
		}
		shops := []string{"shop:unknown-account waiting"}
		for _, row := range []struct {
			account string
			state   SessionState
			want    []string
		}{
			{"", "", append(slices.Clone(ours), shops...)},
			{"default", "", ours},
			{"shop", "", shops},
			{"sho", "", nil},
			{"", Waiting, shops},
			{"default", Waiting, nil},
			{"", Following, []string{ours[0], ours[4]}},
			{"", Delivering, ours[2:3]},
			{"", Delivered, nil},
			{"", Removed, ours[1:2]},
			{"", Undelivered, ours[3:4]},
			{"shop", Cancelled, nil},
		} {
			if got := w.sessions(row.account, row.state); !slices.Equal(got, row.want) {
				t.Errorf("account %q, state %q: %q, want %q", row.account, row.state, got, row.want)
			}
		}
		w.checkNothingPersonal()
	})
}

// One record of a later release ends no list, an error of Redis does, and whoever
// has seen enough stops.
func TestSessions_GoOnPastARecordThatCannotBeRead(t *testing.T) {
	inWorld(t, func(w *world) {
		const n = 2500 // more than a page
		for i := range n {
			w.rdb.HSet(w.ctx, fmt.Sprint("identwatch:default:a", i), "v", 1, "state", "following")
		}
		w.rdb.HSet(w.ctx, "identwatch:default:later", "v", 2, "state", "following")
		w.rdb.Set(w.ctx, "identwatch:default:no-record", "x", 0)
		w.rdb.HSet(w.ctx, "identwatch:default:\x1b[31m", "v", 1, "state", "following")
		w.rdb.HSet(w.ctx, "asynq:{identwatch-follow}:t:\x1b[31m:a", "state", "pending", "msg", "x")
		w.rdb.Set(w.ctx, "identwatch:default:a1:sealed", "x", 0)
		w.enqueue("waiting")
		told, untold := 0, ""
		for s, err := range w.inspector().Sessions(w.ctx, "", "") {
			switch {
			case errors.Is(err, ErrRecordVersion):
				untold += s.Account + ":" + s.Token
			case err != nil:
				t.Fatal(err)
			default:
				told++
			}
		}
		if told != n+1 || untold != "default:later" {
			t.Errorf("%d are told of, and not %q", told, untold)
		}
		for range w.inspector().Sessions(w.ctx, "", Waiting) {
			break
		}
		seen := 0
		for range w.inspector().Sessions(w.ctx, "", Following) {
			if seen++; seen == 7 {
				break
			}
		}
		for _, account := range []string{"", "*"} {
			w.mini.SetError("LOADING Redis is down in this test")
			errs := 0
			for s, err := range w.inspector().Sessions(w.ctx, account, "") {
				if errs++; err == nil || s != (SessionStatus{}) {
					t.Errorf("%+v, %v", s, err)
				}
			}
			w.mini.SetError("")
			if errs != 1 {
				t.Errorf("%d errors", errs)
			}
		}
	})
}

// The names are those of the HTTP API, and what there is not is left out.
func TestSessionStatus_AsJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 5, 0, 0, 123e6, time.UTC)
	for want, status := range map[string]SessionStatus{
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
