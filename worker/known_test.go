package worker

import (
	"testing"
	"time"
)

// A Redis that lost its data does not know the queues.
func TestWorker_MakesTheQueuesKnownAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		time.Sleep(time.Second)
		w.rdb.FlushAll(w.ctx)
		time.Sleep(2 * knownPause)
		if names, err := w.tasks.Queues(); err != nil || len(names) != 3 {
			t.Errorf("asynq knows %v, %v", names, err)
		}
	})
}
