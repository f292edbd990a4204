package lease

import (
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/redistest"
)

// On a Redis Cluster a script that names or touches a key of another node is refused, and
// go-redis sends SCAN to any node.
func TestQueue_WorksOnACluster(t *testing.T) {
	t.Parallel()
	f := on(t, redistest.StartCluster(t, 3, 0).Client())
	ctx := t.Context()
	if err := f.Register(ctx); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b", "c"} {
		f.enqueue(id)
	}
	f.serve(3, errWaits) // each is in the retry set then
	ids := []string{"a", "b", "c"}
	statuses, err := f.Renew(ctx, ids, time.Now().Add(time.Minute))
	if err != nil || statuses[0] != Renewed {
		t.Errorf("renewing: %v, %v", statuses, err)
	}
	if status, err := f.Postpone(ctx, "a", time.Now().Add(time.Hour)); err != nil || status != Renewed {
		t.Errorf("postponing: %v, %v", status, err)
	}
	if back, err := f.BringBack(ctx, time.Minute, time.Second, true); err != nil || back != 1 {
		t.Errorf("bringing back: %d, %v", back, err)
	}
	proof := "{" + queue + "}:proof"
	f.rdb.HSet(ctx, proof, "removal", "removed")
	if active, err := f.Finish(ctx, []Finished{{ID: "b", Result: []byte("{}"), Retention: time.Hour, Proof: Proof{proof, "removal", "removed", time.Hour}}}); err != nil || len(active) > 0 {
		t.Errorf("finishing: %v, %v", active, err)
	}
	if f.state("b") != asynq.TaskStateCompleted {
		t.Errorf("the finished task is %v", f.state("b"))
	}
	if _, err := f.Release(ctx, []string{"c"}); err != nil || f.state("c") != asynq.TaskStatePending {
		t.Errorf("releasing: %v, the task is %v", err, f.state("c"))
	}
	if _, err := f.Sweep(ctx); err != nil {
		t.Errorf("sweeping: %v", err)
	}
	f.rdb.Del(ctx, f.key("pending"))
	if mended, err := f.MendOrphans(ctx); err != nil || mended != 1 {
		t.Errorf("mending: %d, %v", mended, err)
	}
	found := 0
	for ids, err := range f.Unfinished(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		found += len(ids)
	}
	if sizes, err := f.Sizes(ctx); err != nil || found != 2 || sizes.Tasks["completed"] != 1 || sizes.OldestPending == 0 {
		t.Errorf("%d are unfinished; %+v, %v", found, sizes, err)
	}
	if known, err := f.CountKnown(ctx, append(ids, "unknown")); err != nil || known != 3 {
		t.Errorf("%d are known, %v", known, err)
	}
}
