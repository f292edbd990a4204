package admin

import (
	"context"
	"errors"
	"iter"

	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
)

// Filter chooses sessions. The zero Filter chooses all.
type Filter struct {
	Account string // "": of every account
	State   State  // "": in every state
}

// List yields how the sessions stand that the filter chooses, in no order. Those
// that are there from the beginning to the end come once. A session that cannot be
// read comes with its account and token and ErrRecordVersion, and the others follow;
// every other error comes without, and is the last: what Redis answered, or a
// *session.ValidationError for an account that cannot be one.
func (s *Sessions) List(ctx context.Context, chosen Filter) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		if _, err := session.NewName(chosen.Account, "any"); err != nil {
			yield(Status{}, err)
			return
		}
		l := listing{s, chosen, make(map[session.Name]bool), yield}
		if l.waiting(ctx) {
			l.recorded(ctx)
		}
	}
}

// listing is one reading of the sessions. Those that wait are read first, so that
// one that a worker takes meanwhile is not missed.
type listing struct {
	sessions *Sessions
	chosen   Filter
	seen     map[session.Name]bool
	yield    func(Status, error) bool
}

// asks reports whether sessions in a state are asked for.
func (l *listing) asks(state State) bool { return l.chosen.State == "" || l.chosen.State == state }

// look reports whether an id names a session that was not looked at yet.
func (l *listing) look(id string) (name session.Name, isNew bool) {
	name, err := session.ParseID(id)
	if err != nil || l.seen[name] {
		return name, false
	}
	l.seen[name] = true
	return name, true
}

// waiting yields the sessions that have a task and no record. It reports whether
// the listing goes on.
func (l *listing) waiting(ctx context.Context) bool {
	if !l.asks(Waiting) {
		return true
	}
	prefix := ""
	if l.chosen.Account != "" {
		prefix = l.chosen.Account + ":"
	}
	for _, queue := range l.sessions.following.All() {
		if !l.waitingIn(ctx, queue, prefix) {
			return false
		}
	}
	return true
}

// waitingIn is waiting for one queue.
func (l *listing) waitingIn(ctx context.Context, queue *lease.Queue, prefix string) bool {
	for ids, err := range queue.Unfinished(ctx, prefix) {
		if err == nil {
			ids, err = l.sessions.records.Unrecorded(ctx, ids)
		}
		if err != nil {
			l.yield(Status{}, err)
			return false
		}
		for _, id := range ids {
			name, isNew := l.look(id)
			if isNew && !l.yield(Status{Account: name.Account(), Token: name.Token(), State: Waiting}, nil) {
				return false
			}
		}
	}
	return true
}

// recorded yields the sessions that have a record.
func (l *listing) recorded(ctx context.Context) {
	if l.chosen.State == Waiting {
		return
	}
	for entry, err := range l.sessions.records.List(ctx, l.chosen.Account) {
		if err != nil {
			l.yield(Status{}, err)
			return
		}
		if !l.record(entry) {
			return
		}
	}
}

func (l *listing) record(entry outcome.Entry) bool {
	if _, isNew := l.look(entry.ID); !isNew {
		return true
	}
	status, err := l.sessions.status(entry.ID, entry.Record)
	if err != nil {
		return l.yield(status, err) && errors.Is(err, ErrRecordVersion)
	}
	return !l.asks(status.State) || l.yield(status, nil)
}
