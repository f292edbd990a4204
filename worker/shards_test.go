package worker

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/redistest"
	"github.com/identwatch/identwatch/internal/shards"
	"github.com/identwatch/identwatch/tasks"
)

// A worker with another number of shards would look for sessions where none is, and
// write records that nobody finds.
func TestShards_AWorkerWithAnotherNumberIsRefusedAndDoesNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		begun, err := tasks.NewClient(tasks.ClientConfig{Redis: w.rdb, Shards: 3})
		if err != nil {
			t.Fatal(err)
		}
		if err := begun.Enqueue(w.ctx, tasks.Session{Token: "t-1", Method: tasks.SmartID}); err != nil {
			t.Fatal(err)
		}
		before, err := redistest.Dump(w.ctx, w.rdb)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 2, 8} {
			p := w.start(func(o *Options) { o.Shards = n })
			p.mayEnd = shards.ErrOther
			time.Sleep(10 * time.Second)
			p.stop()
			if !errors.Is(p.err, shards.ErrOther) {
				t.Errorf("with %d shards it ended with %v", n, p.err)
			}
		}
		after, err := redistest.Dump(w.ctx, w.rdb)
		if err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("they changed what Redis has: %v\n%v\n%v", err, before, after)
		}
	})
}
