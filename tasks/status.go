package tasks

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// Why a session's status is not returned, or a session is not cancelled.
var (
	// ErrNoSession says that nothing is known of the session: it was never enqueued,
	// or its time is over.
	ErrNoSession = admin.ErrNoSession
	// ErrOutcomeFirst says that the session had its outcome before it was cancelled.
	ErrOutcomeFirst = admin.ErrOutcomeFirst
	// ErrNewerRecord says that a later release of identwatch wrote the session's
	// record. Upgrade the application.
	ErrNewerRecord = admin.ErrRecordVersion
	// ErrChangedTask says that somebody changed the session's task in Redis.
	ErrChangedTask = queue.ErrOtherSession
)

// State says how far a session is. It is a string.
type State = admin.State

// The states of a session.
const (
	Waiting     State = admin.Waiting     // enqueued; no worker took it yet
	Following   State = admin.Following   // polled; not final yet
	Delivering  State = admin.Delivering  // final; its event is being posted, or posted once more
	Delivered   State = admin.Delivered   // a receiver acknowledged the event
	Removed     State = admin.Removed     // delivered, and removed at MarkSign
	Undelivered State = admin.Undelivered // no receiver acknowledged the event in time
	Cancelled   State = admin.Cancelled   // the application stopped it; nothing is posted
)

// Status says how a session stands. Nothing in it is personal. Times are by Redis's
// clock, and zero if nothing happened yet.
type Status struct {
	Account string
	Token   string
	State   State
	// Outcome is the type of the event, such as "identification.completed", and
	// Reason why it ended so. Both are "" before it is final, and if it was cancelled.
	Outcome string
	Reason  string
	// Removal is how far the removal at MarkSign is: "" not begun, "pending",
	// "removed", or "unknown" if MarkSign never said so and it is tried no more.
	Removal string
	// Polls are known once the session is final.
	Polls    int
	Attempts int // posts begun
	Removals int // DELETEs that were answered, or failed
	// LastError is of the last post or DELETE that failed.
	LastError string
	// LastTrouble is of the last poll that MarkSign gave no usable answer to.
	LastTrouble string
	StartedAt   time.Time // a worker took it
	FinalAt     time.Time // its outcome was known
	EndedAt     time.Time // delivered, given up or cancelled
	RemovedAt   time.Time // the removal ended
	// KeptUntil is until when the session is kept at MarkSign, and MarkSign's answer
	// sealed, because the answer could not be used; zero if it is not kept.
	KeptUntil time.Time
	// NextAttempt is when the event is posted again at the latest, by the clock of
	// the worker that planned it: that worker posts it sooner if its pause is over or
	// the receiver is back.
	NextAttempt time.Time
}

// Status returns how a session stands; an account of "" is the Client's. It returns a
// *ValidationError for an account or a token that cannot be one, ErrNoSession,
// ErrNewerRecord, and otherwise an error that says what is wrong with Redis and what
// to do. It returns when ctx ends, with an error that wraps ctx's.
//
// A person's result is in the event alone: wait for that, and use Status to look after
// a session whose event is late.
func (c *Client) Status(ctx context.Context, account, token string) (Status, error) {
	return c.about(ctx, asking, account, token, c.sessions.Status)
}

// Cancel stops a session and has it removed at MarkSign, and returns how it stands
// then. Nothing is posted. A worker that follows it polls no more within a third of a
// lease. To cancel a cancelled session is no error.
//
// It returns ErrOutcomeFirst, with the status, if the session had another outcome
// before: then its event is posted. Otherwise the errors are those of Status,
// ErrNewerPayload and ErrChangedTask. After an error of Redis the session may or may
// not be cancelled, and repeating the call is safe.
func (c *Client) Cancel(ctx context.Context, account, token string) (Status, error) {
	return c.about(ctx, cancelling, account, token, c.sessions.Cancel)
}

// about does something with one session, for no longer than ctx lasts.
func (c *Client) about(
	ctx context.Context, what call, account, token string, do func(context.Context, session.Name) (admin.Status, error),
) (Status, error) {
	name, err := session.NewName(cmp.Or(account, c.account), token)
	if err != nil {
		return Status{}, err
	}
	found := make(chan admin.Status, 1)
	err = bounded(ctx, func() error {
		if err := c.agree(ctx); err != nil {
			return err
		}
		status, err := do(ctx, name)
		found <- status
		return err
	})
	switch {
	case err == nil, errors.Is(err, ErrOutcomeFirst):
		return Status(<-found), err
	case isOfSession(err):
		return Status{}, err
	}
	return Status{}, explain(what, err, c.dial.Load())
}

// isOfSession reports whether an error is about the session, and not about Redis.
func isOfSession(err error) bool {
	for _, known := range []error{ErrNoSession, ErrShards, ErrNewerRecord, ErrNewerPayload, ErrChangedTask} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
