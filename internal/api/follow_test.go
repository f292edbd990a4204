package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/webhook"
	"github.com/identwatch/identwatch/worker"
)

// withWorker runs a test in a bubble of virtual time, with a whole worker of the
// account default, a simulated MarkSign, and the desk's receiver.
func withWorker(t *testing.T, test func(d *desk, sim *marksim.Simulator)) {
	t.Helper()
	t.Parallel()
	checker() // outside of the bubble, for it outlives it
	synctest.Test(t, func(t *testing.T) {
		rdb, mini := redistest.Embedded()
		d := newDeskOn(t, rdb)
		d.keys["default"] = NewKey()
		a, err := New(Options{Redis: rdb, Accounts: []Account{
			{Name: "default", Keys: [][32]byte{HashKey(d.keys["default"])}, CallbackURL: callback, Sender: d.sender()},
			{Name: "crm", Keys: [][32]byte{HashKey(d.keys["crm"])}, CallbackURL: callback, Sender: d.sender()},
		}})
		if err != nil {
			t.Fatal(err)
		}
		d.api = a
		sim := marksim.New(marksim.Options{AccessToken: "any", Seed: 1})
		w, err := worker.New(worker.Options{
			Redis: rdb, OutcomeKeys: [][]byte{make([]byte, 32)},
			Accounts: []worker.Account{{
				MarkSign: worker.MarkSign{BaseURL: "https://marksign.example", AccessToken: "any", Transport: sim},
				Sender:   d.sender(), CallbackURL: callback,
			}},
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()
		test(d, sim)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		rdb.Close()
		mini.Close()
		time.Sleep(5 * time.Second) // until go-redis's own goroutines see that they are closed
	})
}

// await asks for a session until it is in a state.
func (c client) await(token, state string) SessionStatus {
	for range 600 {
		if s := c.do(http.MethodGet, "/v1/sessions/"+token, nil).session(http.StatusOK); s.State == state {
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.t.Fatalf("%s is not %s after a minute", token, state)
	return SessionStatus{}
}

func confirming(after time.Duration) marksim.Person {
	return marksim.Person{Name: "JONASMARKED", Surname: "JONAITISMARKED", Code: "30303039914", Country: "LT", AfterMin: after}
}

func TestFollow_FromTheEnqueueToTheRemoval(t *testing.T) {
	withWorker(t, func(d *desk, sim *marksim.Simulator) {
		app := d.as("default")
		sim.Add("a", marksim.SmartID, confirming(5*time.Second))
		app.do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
		if s := app.await("a", "following"); s.StartedAt == nil || s.Outcome != nil || s.FinalAt != nil {
			t.Errorf("followed: %+v", s)
		}
		s := app.await("a", "removed")
		if *s.Outcome != string(webhook.Completed) || s.Polls < 5 || s.Attempts != 1 || *s.Removal != "removed" || s.Reason != nil ||
			s.FinalAt == nil || s.EndedAt == nil || s.RemovedAt == nil || s.NextAttemptAt != nil || s.LastError != nil {
			t.Errorf("removed: %+v", s)
		}
		if len(d.received) != 1 {
			t.Errorf("%d posts", len(d.received))
		}
		app.do(http.MethodDelete, "/v1/sessions/a", nil).problem(http.StatusConflict, "outcome_first")
		app.do(http.MethodPost, "/v1/sessions/a/redeliver", nil).problem(http.StatusGone, "erased")
		app.do(http.MethodPost, "/v1/sessions", aSession("a")).problem(http.StatusConflict, "duplicate")
	})
}

func TestFollow_CancelledBeforeThePersonConfirms(t *testing.T) {
	withWorker(t, func(d *desk, sim *marksim.Simulator) {
		app := d.as("default")
		sim.Add("a", marksim.SmartID, confirming(time.Hour))
		app.do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
		app.await("a", "following")
		d.as("crm").do(http.MethodDelete, "/v1/sessions/a", nil).problem(http.StatusNotFound, "not_found")
		if s := app.do(http.MethodDelete, "/v1/sessions/a", nil).session(http.StatusOK); s.State != "cancelled" || *s.Removal != "pending" {
			t.Errorf("cancelled: %+v", s)
		}
		time.Sleep(30 * time.Second)
		if s := app.await("a", "cancelled"); *s.Removal != "removed" || s.RemovedAt == nil {
			t.Errorf("half a minute later: %+v", s)
		}
		if seen, _ := sim.Session("a"); seen.Removes != 1 || len(d.received) != 0 {
			t.Errorf("removed %d times, %d posts", seen.Removes, len(d.received))
		}
		app.do(http.MethodDelete, "/v1/sessions/a", nil).session(http.StatusOK)
	})
}

func TestFollow_GivenUpAndDeliveredAgain(t *testing.T) {
	withWorker(t, func(d *desk, sim *marksim.Simulator) {
		app := d.as("default")
		var open atomic.Bool
		d.receive = func(*http.Request) (*http.Response, error) {
			status := http.StatusGone
			if open.Load() {
				status = http.StatusNoContent
			}
			return &http.Response{StatusCode: status, Body: http.NoBody}, nil
		}
		sim.Add("a", marksim.SmartID, confirming(0))
		app.do(http.MethodPost, "/v1/sessions", aSession("a")).session(http.StatusAccepted)
		if s := app.await("a", "given_up"); s.LastError == nil || s.EndedAt == nil {
			t.Errorf("given up: %+v", s)
		}
		d.as("crm").do(http.MethodPost, "/v1/sessions/a/redeliver", nil).problem(http.StatusNotFound, "not_found")
		open.Store(true)
		if s := app.do(http.MethodPost, "/v1/sessions/a/redeliver", nil).session(http.StatusAccepted); s.Attempts == 0 {
			t.Errorf("redelivered: %+v", s)
		}
		app.await("a", "removed")
		first, last := d.received[0], d.received[len(d.received)-1]
		if id := first.Header.Get(webhook.HeaderID); id == "" || id != last.Header.Get(webhook.HeaderID) {
			t.Error("the event came again under another id")
		}
		if text, err := io.ReadAll(last.Body); err != nil || len(text) == 0 {
			t.Errorf("the event: %v", err)
		}
		app.do(http.MethodPost, "/v1/sessions/a/redeliver", nil).problem(http.StatusGone, "erased")
	})
}
