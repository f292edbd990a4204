package hosts

import (
	"testing"
	"time"
)

// A host that is down may be probed, and all slots of the process are taken: nobody
// looks at the clock again and again until one is free.
func TestHosts_DoNotSpinWhileNoSlotIsFree(t *testing.T) {
	inRoom(t, Options{PerHost: 4, Total: 1}, func(r *room) {
		r.fail("a", openFailures)
		busy, refused := r.Acquire(r.event("busy", "b", Repeated))
		if refused != Granted {
			t.Fatal(refused)
		}
		r.offer(r.event("waits", "a", Repeated))
		time.Sleep(time.Minute) // does not end while a timer fires at once
		busy.Release()
		time.Sleep(time.Second)
		if n := len(r.posts("waits")); n != 1 {
			t.Errorf("%d posts after a slot became free", n)
		}
	})
}
