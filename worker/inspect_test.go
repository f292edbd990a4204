package worker

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
)

// status returns a session's status, which there must be.
func (w *world) status(token string) admin.Status {
	w.t.Helper()
	status, err := w.admin().Status(w.ctx, named(token))
	if err != nil || status.Account != tasks.DefaultAccount || status.Token != token {
		w.t.Fatalf("%+v, %v", status, err)
	}
	return status
}

func TestSession_TellsOfEachState(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(2, 503)
		w.session("a", confirming(2*time.Second))
		if s := w.status("a"); s != (admin.Status{Account: "default", Token: "a", State: admin.Waiting}) {
			t.Errorf("waiting: %+v", s)
		}
		w.start()
		time.Sleep(time.Second)
		if s := w.status("a"); s.State != admin.Following || s.StartedAt.IsZero() || !s.FinalAt.IsZero() || s.Outcome != "" {
			t.Errorf("following: %+v", s)
		}
		w.await("the hand-over", 10*time.Second, func() bool { return w.record("a").State == outcome.Handed })
		time.Sleep(500 * time.Millisecond)
		s := w.status("a")
		if left := time.Until(s.NextAttempt); s.State != admin.Delivering || s.Outcome != "identification.completed" || s.Polls == 0 ||
			s.Attempts != 1 || s.LastError != "HTTP 503" || left < time.Second || left > 4*time.Second || !s.EndedAt.IsZero() {
			t.Errorf("delivering: %+v", s)
		}
		w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		if s := w.status("a"); s.State != admin.Delivered || s.Attempts != 3 || s.EndedAt.Before(s.FinalAt) || s.Removal == "removed" || s.LastError != "" || !s.NextAttempt.IsZero() {
			t.Errorf("delivered: %+v", s)
		}
		w.await("the removal", time.Minute, func() bool { return w.record("a").Removal == outcome.Removed })
		if s := w.status("a"); s.State != admin.Removed || s.Removal != "removed" || s.Removals != 1 || s.RemovedAt.Before(s.EndedAt) {
			t.Errorf("removed: %+v", s)
		}
		w.giveUp("b")
		if s := w.status("b"); s.State != admin.Undelivered || s.Removal != "removed" || s.LastError != "HTTP 410" {
			t.Errorf("given up: %+v", s)
		}
	})
}

// sessions lists them as "account:token state", in order.
func (w *world) sessions(account string, state admin.State) (list []string) {
	w.t.Helper()
	for s, err := range w.admin().List(w.ctx, admin.Filter{Account: account, State: state}) {
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
			state   admin.State
			want    []string
		}{
			{"", "", append(slices.Clone(ours), shops...)},
			{"default", "", ours},
			{"shop", "", shops},
			{"sho", "", nil},
			{"", admin.Waiting, shops},
			{"default", admin.Waiting, nil},
			{"", admin.Following, []string{ours[0], ours[4]}},
			{"", admin.Delivering, ours[2:3]},
			{"", admin.Delivered, nil},
			{"", admin.Removed, ours[1:2]},
			{"", admin.Undelivered, ours[3:4]},
			{"shop", admin.Cancelled, nil},
		} {
			if got := w.sessions(row.account, row.state); !slices.Equal(got, row.want) {
				t.Errorf("account %q, state %q: %q, want %q", row.account, row.state, got, row.want)
			}
		}
		w.checkNothingPersonal()
	})
}
