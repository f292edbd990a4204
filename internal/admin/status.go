package admin

import (
	"context"
	"strings"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// State says how far a session is.
type State string

// The states of a session.
const (
	Waiting    State = "waiting"    // enqueued; no worker took it yet
	Following  State = "following"  // polled; not final yet
	Delivering State = "delivering" // final; its event is being posted, or posted once more
	Delivered  State = "delivered"  // a receiver acknowledged the event
	Removed    State = "removed"    // delivered, and removed at MarkSign
	// Undelivered: no receiver acknowledged the event in time.
	Undelivered State = "given_up"
	Cancelled   State = "cancelled" // the application stopped it; nothing is posted
)

// States returns all states, in the order of a session's life.
func States() []State {
	return []State{Waiting, Following, Delivering, Delivered, Removed, Undelivered, Cancelled}
}

var stateOf = map[outcome.State]State{
	outcome.Following: Following, outcome.Sealed: Delivering, outcome.Handed: Delivering, outcome.Redelivering: Delivering,
	outcome.Delivered: Delivered, outcome.GivenUp: Undelivered, outcome.Cancelled: Cancelled,
}

// Status says how a session stands. Nothing in it is personal. Times are by
// Redis's clock, and zero if nothing happened yet.
type Status struct {
	Account string `json:"account"`
	Token   string `json:"token"`
	State   State  `json:"state"`
	// Outcome is the type of the event, such as "identification.completed", and
	// Reason why it ended so. Both are "" before it is final, and if it was cancelled.
	Outcome string `json:"outcome,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Removal is how far the removal at MarkSign is: "" not begun, "pending",
	// "removed", or "unknown" if MarkSign never said so and it is tried no more.
	Removal string `json:"removal,omitempty"`
	// Polls are known once the session is final.
	Polls    int `json:"polls,omitempty"`
	Attempts int `json:"attempts"` // posts begun
	Removals int `json:"removals"` // DELETEs that were answered, or failed
	// LastError is of the last post or DELETE that failed.
	LastError string `json:"last_error,omitempty"`
	// LastTrouble is of the last poll that MarkSign gave no usable answer to.
	LastTrouble string    `json:"last_trouble,omitempty"`
	StartedAt   time.Time `json:"started_at,omitzero"` // a worker took it
	FinalAt     time.Time `json:"final_at,omitzero"`   // its outcome was known
	EndedAt     time.Time `json:"ended_at,omitzero"`   // delivered, given up or cancelled
	RemovedAt   time.Time `json:"removed_at,omitzero"` // the removal ended
	// KeptUntil is until when the session is kept at MarkSign, and MarkSign's answer
	// sealed, because the answer could not be used; zero if it is not kept.
	KeptUntil time.Time `json:"kept_until,omitzero"`
	// NextAttempt is when the event is posted again at the latest, by the clock of
	// the worker that planned it: that worker posts it sooner if its pause is over or
	// the receiver is back.
	NextAttempt time.Time `json:"next_attempt_at,omitzero"`
}

// Status returns how one session stands. It returns ErrNoSession, ErrRecordVersion,
// or what Redis answered.
func (s *Sessions) Status(ctx context.Context, name session.Name) (Status, error) {
	seen, err := s.look(ctx, name)
	switch {
	case err != nil:
		return Status{}, err
	case seen.record.State != outcome.None:
		return s.status(name.ID(), seen.record)
	case seen.waits():
		return Status{Account: name.Account(), Token: name.Token(), State: Waiting}, nil
	}
	return Status{}, ErrNoSession
}

// status says what a record does.
func (s *Sessions) status(id string, r outcome.Record) (Status, error) {
	account, token, _ := strings.Cut(id, ":")
	state, known := stateOf[r.State]
	if !known {
		return Status{Account: account, Token: token}, ErrRecordVersion
	}
	if state == Delivered && r.Removal == outcome.Removed {
		state = Removed
	}
	status := Status{
		Account: account, Token: token, State: state, Outcome: r.Type, Reason: r.Reason, Removal: removalOf(r.Removal),
		Polls: r.Polls, Attempts: r.Attempts, Removals: r.Removals, LastError: r.LastError, LastTrouble: r.Trouble,
		StartedAt: r.Started, FinalAt: r.Final, EndedAt: r.Ended, RemovedAt: r.RemovedAt, KeptUntil: r.Kept,
	}
	if r.State == outcome.Handed || r.State == outcome.Redelivering {
		task, err := s.tasks.Find(queue.Deliver, id)
		if err != nil {
			return Status{}, err
		}
		if task != nil && !task.NextProcessAt.IsZero() {
			status.NextAttempt = task.NextProcessAt.UTC()
		}
	}
	return status, nil
}

func removalOf(r outcome.Removal) string {
	if r == outcome.RemovalHanded {
		return "pending"
	}
	return string(r)
}
