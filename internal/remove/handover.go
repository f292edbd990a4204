package remove

import (
	"context"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
)

// Why a first removal is left to session:remove.
const (
	WhyKept          = "kept at MarkSign until an operator had the time to look at its answer"
	WhyDefect        = "a defect in identwatch: see the worker's log"
	WhyRejected      = "MarkSign rejects the account's access token"
	WhyNotReplicated = "no replica has the session's record yet"
)

// HandOver notes why a first removal could not be made, and leaves it to
// session:remove. Whoever finds the note without the task makes the task.
func (r *Remover) HandOver(job session.Job, why string) {
	change, _ := r.noteFailed(job, outcome.FailedRemoval{Why: why})
	if change.Applied { // else another worker removed it meanwhile
		r.Enqueue(job, Outcome{Verdict: Retry, After: pause(change.Record.Removals, 0)})
	}
}

// Enqueue makes sure of the task that makes the next attempt after a Retry.
func (r *Remover) Enqueue(job session.Job, o Outcome) {
	r.opts.Notes.Write("enqueueing a removal", func(ctx context.Context) error {
		return r.opts.Tasks.EnsureRemoval(ctx, job, o.After)
	})
}
