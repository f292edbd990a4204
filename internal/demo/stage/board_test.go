package stage

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/receiver"
	"github.com/identwatch/identwatch/webhook"
)

// notes are what a board is told, and what it makes of that.
type notes struct {
	*board
	steps []Step
}

func newNotes() *notes {
	n := &notes{board: newBoard()}
	n.lookUp = func(string) (marksim.Snapshot, bool) { return marksim.Snapshot{}, false }
	n.watch = func(c Change) { n.steps = append(n.steps, c.Step) }
	n.started(Part{Person: marksim.Person{Name: "A", Surname: "B"}, Method: "smart_id"}, started{Token: "t"})
	return n
}

func (n *notes) poll(kind marksim.Kind, answer string) {
	n.simulated(marksim.Event{Kind: kind, Call: marksim.StatusCalls, Token: "t", At: time.Now(), Answer: answer})
}

func (n *notes) remove(kind marksim.Kind, answer string) {
	n.simulated(marksim.Event{Kind: kind, Call: marksim.RemoveCalls, Token: "t", At: time.Now(), Answer: answer})
}

func (n *notes) receive(status int, delay time.Duration) {
	d := receiver.Delivery{At: time.Now(), Status: status, Delay: delay}
	d.Event = webhook.Event{Type: webhook.Refused, Data: webhook.Data{Token: "t"}}
	n.received(d)
}

func TestBoard_TellsTroubleOnceAndItsEnd(t *testing.T) {
	t.Parallel()
	n := newNotes()
	n.poll(marksim.Polled, "waiting")
	n.poll(marksim.Faulted, "HTTP 500")
	n.poll(marksim.Faulted, "HTTP 503")
	n.poll(marksim.Polled, "waiting")
	n.poll(marksim.Polled, "waiting")
	n.poll(marksim.Faulted, "outage")
	n.poll(marksim.Final, "error 40020")
	n.poll(marksim.Final, "error 40020")
	n.remove(marksim.Faulted, "outage")
	n.remove(marksim.Removed, "ok")
	want := []Step{Started, Waiting, Troubled, Polled, Recovered, Polled, Troubled, Final, Polled, RemovalFailed, Removed}
	if !slices.Equal(n.steps, want) {
		t.Errorf("got %v, want %v", n.steps, want)
	}
	s := n.all()[0]
	if s.Polls != 8 || s.Answer != "error 40020" || s.FinalAt.IsZero() || s.Removals != 2 || !s.Done() || n.removed([]string{"t"}) != 1 {
		t.Errorf("got %+v", s)
	}
	for _, c := range n.take() {
		if what, detail := c.Describe(); what == "" || detail == "" || c.Step == Polled {
			t.Errorf("step %d is described as %q, %q", c.Step, what, detail)
		}
	}
}

func TestBoard_KnowsWhatBecomesOfAnEvent(t *testing.T) {
	t.Parallel()
	n := newNotes()
	for _, test := range []struct {
		status    int
		delay     time.Duration
		delivered bool
	}{
		{http.StatusInternalServerError, 0, false},
		{0, 0, false},
		{http.StatusNoContent, deliveryTimeout, false}, // nobody waits for it any more
		{http.StatusNoContent, 0, true},
		{http.StatusInternalServerError, 0, true},
	} {
		if n.receive(test.status, test.delay); n.all()[0].Delivered != test.delivered {
			t.Errorf("after %+v: %+v", test, n.all()[0])
		}
	}
	soon := admin.Status{Token: "t", State: admin.Delivering, NextAttempt: time.Now().Add(time.Minute), LastError: "HTTP 500"}
	due := admin.Status{Token: "t", State: admin.Delivering, NextAttempt: time.Now().Add(-time.Second)}
	over := admin.Status{Token: "t", State: admin.Undelivered, LastError: "HTTP 410"}
	n.steps = nil
	for _, status := range []admin.Status{soon, soon, due, due, over, over} {
		n.planned(status)
	}
	if want := []Step{Planned, Polled, Planned}; !slices.Equal(n.steps, want) {
		t.Errorf("got %v, want %v", n.steps, want)
	}
	if s := n.all()[0]; !s.GivenUp || s.LastError != "HTTP 410" || !s.NextAttempt.IsZero() {
		t.Errorf("got %+v", s)
	}
}
