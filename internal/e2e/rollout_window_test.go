//go:build unix

package e2e

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/webhook"
)

// age lets what Redis keeps of a session expire as soon as if it had waited for
// all of the time that it is kept, but for what is left.
func (w *world) age(token string, left time.Duration) {
	w.t.Helper()
	for _, key := range []string{recordKey(token), recordKey(token) + ":sealed"} {
		if !w.rdb.PExpire(w.ctx, key, left).Val() {
			w.t.Fatalf("%s is not there", key)
		}
	}
}

// An event waits, and DELIVERY_WINDOW is raised. What Redis keeps of it was kept
// for the old window, and now has to last for the new one: the old one's time goes
// by, MarkSign forgets the session, and the event is still the one that was told
// before.
func TestRollout_DeliveryWindowRaised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var well, forgotten atomic.Bool
	w.receiver.script = func(webhook.Event, []byte, int) answer {
		return answer{status: map[bool]int{false: http.StatusInternalServerError}[well.Load()]}
	}
	w.calls.instead = func(string, int) http.HandlerFunc {
		if !forgotten.Load() {
			return nil
		}
		return says(http.StatusOK, `{"status":"error","message":"Session for given token was not found","error_code":40402}`)
	}
	a := w.serve("DELIVERY_WINDOW=1m")
	all := w.begin("longer", 3, confirms(0, 0))
	w.enqueue(all)
	w.awaitState(all, outcome.Handed)
	forgotten.Store(true)
	for _, token := range all {
		if kept := w.kept(token); kept > 26*time.Hour {
			t.Fatalf("%s is kept for %v, which is not by a window of a minute, so the test shows nothing", token, kept)
		}
	}
	w.restart(a, "DELIVERY_WINDOW=72h")
	const left = 15 * time.Second
	aged := time.Now()
	for _, token := range all {
		w.age(token, left)
	}
	posted := w.receiver.posts()
	eventually(t, left-5*time.Second, "each is posted again", func() bool {
		w.hurryDeliveries()
		return w.receiver.posts() >= posted+2*len(all)
	})
	pass(time.Until(aged.Add(2 * left))) // the old window's time is over
	for _, token := range all {
		if kept := w.kept(token); kept < 72*time.Hour {
			t.Errorf("%s is kept for %v within a window of 72h", token, kept)
		}
	}
	well.Store(true)
	w.awaitState(all, outcome.Delivered)
	w.awaitRemoved(all, time.Minute)
	w.awaitQuiet(20 * time.Second)
	w.check(all, nil)
}
