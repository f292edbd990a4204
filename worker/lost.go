package worker

import (
	"context"
	"errors"

	"github.com/identwatch/identwatch/internal/outcome"
)

// salvage makes the record of a delivery again from its sealed result, which Redis
// may have kept, so that the same event is posted. It reports whether it did.
func (d delivery) salvage(ctx context.Context) (bool, error) {
	result, err := d.records.Salvage(ctx, outcome.Of(d.job))
	switch {
	case errors.Is(err, outcome.ErrSealMissing):
		return false, nil
	case err != nil && !outcome.IsSealError(err):
		return false, err
	case err != nil:
		d.log.Error("the sealed result of a lost record cannot be opened", "session", d.job.ID(), "error", err)
		return false, nil
	}
	change, err := d.records.SealHanded(ctx, outcome.Of(d.job), result, errSalvaged.Error())
	if change.Applied {
		d.log.Warn("the session's record in Redis was lost; it was made again from the sealed result", "session", d.job.ID())
	}
	return change.Applied, err
}

var errSalvaged = errors.New("the session's record was lost, and made again from its sealed result")
