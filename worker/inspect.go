package worker

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// Why a session's status is not told.
var (
	ErrNoSession = errors.New("no such session: it was never enqueued, was taken out of the queue, or its time is over")
	// ErrRecordVersion says that a later release wrote the session's record.
	ErrRecordVersion = outcome.ErrRecordVersion
)

// SessionState says how far a session is.
type SessionState string

// The states of a session.
const (
	Waiting    SessionState = "waiting"    // enqueued; no worker took it yet
	Following  SessionState = "following"  // polled; not final yet
	Delivering SessionState = "delivering" // final; its event is being posted, or posted once more
	Delivered  SessionState = "delivered"  // a receiver acknowledged the event
	Removed    SessionState = "removed"    // delivered, and removed at MarkSign
	// Undelivered: no receiver acknowledged the event in time.
	Undelivered SessionState = "given_up"
	Cancelled   SessionState = "cancelled" // the application stopped it; nothing is posted
)

// SessionStates returns all states, in the order of a session's life.
func SessionStates() []SessionState {
	return []SessionState{Waiting, Following, Delivering, Delivered, Removed, Undelivered, Cancelled}
}

var stateOf = map[outcome.State]SessionState{
	outcome.Following: Following, outcome.Sealed: Delivering, outcome.Handed: Delivering, outcome.Redelivering: Delivering,
	outcome.Delivered: Delivered, outcome.GivenUp: Undelivered, outcome.Cancelled: Cancelled,
}

// SessionStatus says how a session stands. Nothing in it is personal. Times are by
// Redis's clock, and zero where nothing happened yet.
type SessionStatus struct {
	Account string       `json:"account"`
	Token   string       `json:"token"`
	State   SessionState `json:"state"`
	// Outcome is the type of the event, such as "identification.completed", and
	// Reason why it ended so. Both are "" before it is final, and where it was cancelled.
	Outcome string `json:"outcome,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Removal is how far the removal at MarkSign is: "" not begun, "pending",
	// "removed", or "unknown" where MarkSign never said so and it is tried no more.
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
	// NextAttempt is when the event is posted again, by the clock of the worker
	// that planned it.
	NextAttempt time.Time `json:"next_attempt_at,omitzero"`
}

// Inspector tells how sessions stand, and cancels them. It is safe for
// concurrent use.
type Inspector struct {
	records   *outcome.Store
	tasks     queue.List
	following *lease.Queue
}

// NewInspector makes an Inspector for workers on this Redis.
func NewInspector(rdb redis.UniversalClient) *Inspector {
	return &Inspector{outcome.NewStore(outcome.Config{Redis: rdb}), queue.NewList(rdb), lease.NewQueue(rdb, queue.Follow)}
}

// Session returns how one session stands; an account of "" is
// tasks.DefaultAccount. It returns a *tasks.ValidationError for a token or an
// account that cannot be one, ErrNoSession, ErrRecordVersion, or what Redis answered.
func (i *Inspector) Session(ctx context.Context, account, token string) (SessionStatus, error) {
	session, err := sessionOf(account, token)
	if err != nil {
		return SessionStatus{}, err
	}
	seen, err := i.look(ctx, session)
	switch {
	case err != nil:
		return SessionStatus{}, err
	case seen.record.State != outcome.None:
		return i.status(session.ID(), seen.record)
	case seen.waits():
		return SessionStatus{Account: session.Account, Token: session.Token, State: Waiting}, nil
	}
	return SessionStatus{}, ErrNoSession
}

// sessionOf checks what is to become a key in Redis.
func sessionOf(account, token string) (session.Job, error) {
	if account == "" {
		account = session.DefaultAccount
	}
	s := session.Job{Account: account, Token: token, Method: session.SmartID}
	return s, s.Validate()
}

// sighting is what there is of a session.
type sighting struct {
	task   *asynq.TaskInfo // session:follow; nil where there is none
	record outcome.Record
}

// waits reports whether a worker is to run the task. A completed one has had its
// time, and an archived one was taken out of the queue.
func (s sighting) waits() bool {
	return s.task != nil && s.task.State != asynq.TaskStateCompleted && s.task.State != asynq.TaskStateArchived
}

// look looks for the task first: where that waits and has no record afterwards,
// no worker took it.
func (i *Inspector) look(ctx context.Context, session session.Job) (sighting, error) {
	task, err := i.tasks.Find(queue.Follow, session.ID())
	if err != nil {
		return sighting{}, err
	}
	entries, err := i.records.Peek(ctx, session.ID())
	if err != nil {
		return sighting{}, err
	}
	return sighting{task, entries[0].Record}, entries[0].Err
}

// status tells of a record.
func (i *Inspector) status(id string, r outcome.Record) (SessionStatus, error) {
	account, token, _ := strings.Cut(id, ":")
	state, known := stateOf[r.State]
	if !known {
		return SessionStatus{Account: account, Token: token}, ErrRecordVersion
	}
	if state == Delivered && r.Removal == outcome.Removed {
		state = Removed
	}
	status := SessionStatus{
		Account: account, Token: token, State: state, Outcome: r.Type, Reason: r.Reason, Removal: removalOf(r.Removal),
		Polls: r.Polls, Attempts: r.Attempts, Removals: r.Removals, LastError: r.LastError, LastTrouble: r.Trouble,
		StartedAt: r.Started, FinalAt: r.Final, EndedAt: r.Ended, RemovedAt: r.RemovedAt, KeptUntil: r.Kept,
	}
	if r.State == outcome.Handed || r.State == outcome.Redelivering {
		task, err := i.tasks.Find(queue.Deliver, id)
		if err != nil {
			return SessionStatus{}, err
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
