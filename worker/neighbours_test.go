package worker

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
)

// says is an answer of MarkSign's.
func says(r *http.Request, status int, body string) (*http.Response, error) {
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// TestAccounts_OneServiceThatIsRefusedDoesNotHoldUpTheOther has an account that
// may not use Mobile-ID: its Smart-ID sessions know nothing of it.
func TestAccounts_OneServiceThatIsRefusedDoesNotHoldUpTheOther(t *testing.T) {
	inWorld(t, func(w *world) {
		w.markSign = roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.Path, "/mobile/") {
				return says(r, http.StatusOK, `{"status":"error","message":"x","error_code":50003}`)
			}
			return w.sim.RoundTrip(r)
		})
		p := w.start()
		for i := range 30 {
			w.sim.Add(fmt.Sprint("mobile-", i), marksim.MobileID, confirming(time.Minute))
			w.enqueue(fmt.Sprint("mobile-", i), func(s *tasks.Session) { s.Method = tasks.MobileID })
		}
		time.Sleep(5 * time.Second)
		w.session("smart", confirming(3*time.Second))
		w.await("the event of the Smart-ID session", 5*time.Second, func() bool { return len(w.receiver.of("smart")) == 1 })
		if got := p.Rejected(); len(got) > 0 {
			t.Errorf("rejected accounts: %q", got)
		}
	})
}

// TestAccounts_OneThatFailsAtAHostDoesNotStopAnother has both accounts post to
// one host, which is well to one of them.
func TestAccounts_OneThatFailsAtAHostDoesNotStopAnother(t *testing.T) {
	inWorld(t, func(w *world) {
		c, both := w.withCRM()
		c.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) {
			return http.StatusInternalServerError, 0, nil
		}
		w.start(both)
		for i := range 10 + 5 {
			token := fmt.Sprint("crm-", i)
			c.sim.Add(token, marksim.SmartID, confirming(0))
			w.enqueue(token, of("crm"), func(s *tasks.Session) { s.CallbackURL = "https://app.example/no-such-path" })
		}
		time.Sleep(5 * time.Second)
		w.session("a", confirming(time.Second), of("shop"))
		w.await("shop's event", 3*time.Second, func() bool { return len(w.receiver.of("a")) == 1 })
	})
}

// TestAccounts_OneWhoseMarkSignHangsDoesNotStarveAnother has ten times as many
// sessions wait for an answer as polls may be under way.
func TestAccounts_OneWhoseMarkSignHangsDoesNotStarveAnother(t *testing.T) {
	inWorld(t, func(w *world) {
		c, both := w.withCRM()
		w.start(both, func(o *Options) {
			o.PollWorkers = 8
			o.Accounts[1].MarkSign.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		})
		for i := range 80 {
			c.start(w, fmt.Sprint("crm-", i), confirming(time.Hour))
		}
		time.Sleep(30 * time.Second)
		w.session("a", confirming(3*time.Second), of("shop"))
		w.await("shop's event", 5*time.Second, func() bool { return len(w.receiver.of("a")) == 1 })
	})
}

// TestAccounts_ARefusedRemovalSaysNothingOfTheToken: errors of removals have no
// documented code.
func TestAccounts_ARefusedRemovalSaysNothingOfTheToken(t *testing.T) {
	inWorld(t, func(w *world) {
		var rejecting atomic.Bool
		w.markSign = roundTripper(func(r *http.Request) (*http.Response, error) {
			switch {
			case !rejecting.Load():
				return w.sim.RoundTrip(r)
			case r.Method == http.MethodDelete:
				return says(r, http.StatusOK, `{"status":"error","message":"Request number is invalid"}`)
			}
			return says(r, http.StatusOK, `{"status":"error","message":"x","error_code":40003}`)
		})
		p := w.start()
		w.session("waits", marksim.Person{Outcome: marksim.Waits})
		for i := range 5 {
			w.session(fmt.Sprint("ends-", i), confirming(2*time.Second))
		}
		w.await("five are delivered", 10*time.Second, func() bool { return len(w.receiver.of("ends-4")) == 1 })
		rejecting.Store(true)
		time.Sleep(time.Minute)
		if n := strings.Count(w.logs.String(), "accepts the account's access token again"); n > 0 || len(p.Rejected()) != 1 {
			t.Errorf("%d times the log says that the token is taken again; rejected: %q", n, p.Rejected())
		}
	})
}

// TestRemove_TheTimeOfARejectionDoesNotCount: the day for which a removal is
// tried begins with the first DELETE that MarkSign did not reject.
func TestRemove_TheTimeOfARejectionDoesNotCount(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.sim.SetFaults(marksim.Faults{Calls: marksim.RemoveCalls, RejectToken: true})
		w.session("a", confirming(time.Second))
		time.Sleep(20 * time.Second)
		r := w.record("a")
		if !r.RemoveBegun.IsZero() || r.Removal != outcome.RemovalHanded {
			t.Errorf("removal %q, begun at %v", r.Removal, r.RemoveBegun)
		}
		w.sim.SetFaults()
		w.awaitEnd("a", time.Minute)
		w.checkOneStory("a")
	})
}

// TestAccounts_OneThatFillsTheProcessLeavesAnotherItsShare has one account fill
// FOLLOW_LIMIT with people who never confirm; it may, while it is alone.
func TestAccounts_OneThatFillsTheProcessLeavesAnotherItsShare(t *testing.T) {
	inWorld(t, func(w *world) {
		const limit = 20
		c, both := w.withCRM()
		p := w.start(both, func(o *Options) { o.FollowLimit = limit })
		for i := range 3 * limit {
			c.start(w, fmt.Sprint("crm-", i), confirming(time.Hour))
		}
		w.await("crm to fill the process", 10*time.Second, func() bool { return p.followed()["crm"] >= limit })
		for i := range limit / 2 {
			w.session(fmt.Sprint("shop-", i), confirming(20*time.Second), of("shop"))
		}
		w.await("all sessions of shop to be followed", 10*time.Second, func() bool { return p.followed()["shop"] == limit/2 })
		if n := p.followed()["crm"]; n < limit/2 {
			t.Errorf("%d sessions of crm are left", n)
		}
		w.await("shop's events", 30*time.Second, func() bool {
			return len(w.receiver.of("shop-0")) == 1 && len(w.receiver.of(fmt.Sprint("shop-", limit/2-1))) == 1
		})
		w.await("crm to have the process again", 60*time.Second, func() bool { return p.followed()["crm"] >= limit })
	})
}
