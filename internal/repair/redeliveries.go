package repair

import (
	"context"
	"slices"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

// redeliveryBatch is how many records are looked at by one command.
const redeliveryBatch = 500

// mendRedeliveries makes sure of the tasks of events that are to be delivered again:
// whoever asked for that may have died in between.
func (r *Repairer) mendRedeliveries(ctx context.Context) error {
	ids, err := r.opts.Records.GivenUp(ctx, time.Time{})
	for batch := range slices.Chunk(ids, redeliveryBatch) {
		if err = r.mendBatch(ctx, batch); err != nil {
			break
		}
	}
	return err
}

func (r *Repairer) mendBatch(ctx context.Context, ids []string) error {
	if err := r.opts.Records.PruneGivenUp(ctx, ids); err != nil {
		return err
	}
	entries, err := r.opts.Records.Peek(ctx, ids...)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.State != outcome.Redelivering {
			continue
		}
		if err := r.mendRedelivery(ctx, entry.ID); err != nil {
			return err
		}
	}
	return nil
}

// mendRedelivery passes over one whose window is over, or whose task cannot be read.
func (r *Repairer) mendRedelivery(ctx context.Context, id string) error {
	record, err := r.opts.Records.Read(ctx, outcome.Session{ID: id})
	if err != nil || record.State != outcome.Redelivering || !record.HasSealed() {
		return err
	}
	job, err := queue.DecodeAs(id, record.Task)
	if err != nil {
		return nil //nolint:nilerr // nobody can deliver it
	}
	return r.opts.Tasks.EnsureDelivery(ctx, job, 0)
}
