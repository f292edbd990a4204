package worker

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
)

// hangingRemovals is a MarkSign that answers no DELETE.
type hangingRemovals struct{ http.RoundTripper }

func (h hangingRemovals) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodDelete {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return h.RoundTripper.RoundTrip(r)
}

// TestSeal_WaitsForNoRemoval has more DELETEs hang than there are workers for
// them, and then sessions end whose receiver has no free slot.
func TestSeal_WaitsForNoRemoval(t *testing.T) {
	inWorld(t, func(w *world) {
		w.markSign = hangingRemovals{w.sim}
		w.receiver.answer = func(r *http.Request, _ int) (int, time.Duration, http.Header) {
			if r.URL.Host == "slow.example" {
				return 200, 14 * time.Second, nil
			}
			return 200, 0, nil
		}
		w.start(func(o *Options) { o.DeliveryConcurrency = 8 })
		for i := range 3 * removeWorkers {
			w.session(fmt.Sprint("removed", i), confirming(0))
		}
		time.Sleep(8 * time.Second)
		const n = 30
		for i := range n {
			w.session(fmt.Sprint("sealed", i), confirming(0), func(s *tasks.Session) { s.CallbackURL = "https://slow.example/" })
		}
		w.await("the seals", 4*time.Second, func() bool {
			for i := range n {
				if w.record(fmt.Sprint("sealed", i)).Final.IsZero() {
					return false
				}
			}
			return true
		})
	})
}

// TestAccounts_OneWhoseRemovalsHangHoldsUpNoOther has one account's DELETEs hang,
// the first ones and those of session:remove.
func TestAccounts_OneWhoseRemovalsHangHoldsUpNoOther(t *testing.T) {
	inWorld(t, func(w *world) {
		c, both := w.withCRM()
		var failed atomic.Bool
		w.markSign = roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodDelete && failed.CompareAndSwap(false, true) {
				return says(r, http.StatusServiceUnavailable, "")
			}
			return w.sim.RoundTrip(r)
		})
		w.start(both, func(o *Options) { o.Accounts[1].MarkSign.Transport = hangingRemovals{c.sim} })
		for i := range 200 {
			c.start(w, fmt.Sprint("crm-", i), confirming(0))
		}
		time.Sleep(20 * time.Second)
		removed := func(token string) func() bool {
			return func() bool {
				s, _ := w.sim.Session(token)
				return !s.RemovedAt.IsZero()
			}
		}
		w.session("a", confirming(0), of("shop"))
		w.await("the removal that is made again", 5*time.Second+outcome.RemovalDelay+6*time.Second, removed("a"))
		w.session("b", confirming(0), of("shop"))
		w.await("the first removal", outcome.RemovalDelay+2*time.Second, removed("b"))
		if c.removed("crm-0") {
			t.Error("crm's removals did not hang")
		}
	})
}

// TestRun_StopsWhileRemovalsHang: a stop begins none of the removals that wait.
func TestRun_StopsWhileRemovalsHang(t *testing.T) {
	inWorld(t, func(w *world) {
		w.markSign = hangingRemovals{w.sim}
		p := w.start()
		for i := range 8 * removeWorkers {
			w.session(fmt.Sprint("a", i), confirming(0))
		}
		time.Sleep(8 * time.Second)
		begun := time.Now()
		p.stop()
		if took := time.Since(begun); p.err != nil || took > maxRemoveTimeout+2*time.Second {
			t.Errorf("the stop took %v and ended with %v", took, p.err)
		}
	})
}
