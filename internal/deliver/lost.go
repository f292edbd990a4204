package deliver

import (
	"context"
	"errors"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/taskserver"
)

const whySalvaged = "the session's record was lost, and made again from its sealed result"

// lost goes on with a delivery whose record is missing.
func (r run) lost(ctx context.Context) error {
	switch salvaged, err := r.salvage(ctx); {
	case err != nil:
		r.deliverer.opts.Log.Error("reading the sealed result of a lost record failed", "session", r.job.ID(), "error", err)
		return taskserver.NoRedis()
	case salvaged:
		return taskserver.Claimed(0)
	}
	return r.deliverer.opts.Settler.RecordLost(r.task, r.job)
}

// salvage makes the record of a delivery again from its sealed result, which Redis
// may have kept, so that the same event is posted. It reports whether it did.
func (r run) salvage(ctx context.Context) (bool, error) {
	d := r.deliverer
	result, err := d.opts.Records.Salvage(ctx, outcome.Of(r.job))
	switch {
	case errors.Is(err, outcome.ErrSealMissing):
		return false, nil
	case err != nil && !outcome.IsSealError(err):
		return false, err
	case err != nil:
		d.opts.Log.Error("the sealed result of a lost record cannot be opened", "session", r.job.ID(), "error", err)
		return false, nil
	}
	change, err := d.opts.Records.SealHanded(ctx, outcome.Of(r.job), result, whySalvaged)
	if change.Applied {
		d.opts.Log.Warn("the session's record in Redis was lost; it was made again from the sealed result", "session", r.job.ID())
	}
	return change.Applied, err
}
