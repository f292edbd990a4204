package worker

import (
	"context"
	"slices"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

// mendRedeliveries makes sure of the tasks of events that are to be delivered
// again: whoever asked for it may have died in between.
func (w *Worker) mendRedeliveries(ctx context.Context) error {
	ids, err := w.records.GivenUp(ctx, time.Time{})
	for batch := range slices.Chunk(ids, redeliveryBatch) {
		if err = w.mendBatch(ctx, batch); err != nil {
			break
		}
	}
	return err
}

// redeliveryBatch is how many records are looked at by one command.
const redeliveryBatch = 500

func (w *Worker) mendBatch(ctx context.Context, ids []string) error {
	if err := w.records.PruneGivenUp(ctx, ids); err != nil {
		return err
	}
	entries, err := w.records.Peek(ctx, ids...)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.State != outcome.Redelivering {
			continue
		}
		if err := w.mendRedelivery(ctx, entry.ID); err != nil {
			return err
		}
	}
	return nil
}

// mendRedelivery passes over one whose window is over, or whose task cannot be read.
func (w *Worker) mendRedelivery(ctx context.Context, id string) error {
	r, err := w.records.Read(ctx, outcome.Session{ID: id})
	if err != nil || r.State != outcome.Redelivering || !r.HasSealed() {
		return err
	}
	job, err := queue.DecodeAs(id, r.Task)
	if err != nil {
		return nil //nolint:nilerr // nobody can deliver it
	}
	return w.tasks.EnsureDelivery(ctx, job, 0)
}
