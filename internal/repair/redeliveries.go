package repair

import (
	"context"
	"slices"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

// redeliveryBatch is how many records are looked at by one command.
const redeliveryBatch = 500

// mendRedeliveries makes sure of the tasks of events that are to be delivered again:
// whoever asked for that may have died in between.
func (r *Repairer) mendRedeliveries(ctx context.Context) error {
	ids, err := r.opts.Records.GivenUpOf(ctx, r.opts.Shard)
	for batch := range slices.Chunk(ids, redeliveryBatch) {
		if err = r.mendBatch(ctx, batch); err != nil {
			break
		}
	}
	return err
}

// mendBatch takes what is erased off the list when its task is there: nobody would look
// for it again.
func (r *Repairer) mendBatch(ctx context.Context, ids []string) error {
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
	return r.opts.Records.PruneGivenUp(ctx, ids)
}

// mendRedelivery passes over one whose task cannot be read. If the sealed result is
// erased, the run of the task gives the event up.
func (r *Repairer) mendRedelivery(ctx context.Context, id string) error {
	record, err := r.opts.Records.Read(ctx, outcome.Session{ID: id})
	if err != nil || record.State != outcome.Redelivering {
		return err
	}
	job, err := queue.DecodeAs(id, record.Task)
	if err != nil {
		return nil //nolint:nilerr // nobody can deliver it
	}
	return r.opts.Tasks.EnsureDelivery(ctx, job, 0)
}
