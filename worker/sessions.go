package worker

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/identwatch/identwatch/internal/outcome"
)

// Sessions yields how the sessions of an account stand that are in a state, in no
// order; "" is every account, and every state. Those that are there from the
// beginning to the end come once. A session that cannot be told of comes with its
// account and token and ErrRecordVersion, and the others follow; every other error
// comes without, and is the last.
func (i *Inspector) Sessions(ctx context.Context, account string, state SessionState) iter.Seq2[SessionStatus, error] {
	return func(yield func(SessionStatus, error) bool) {
		if _, err := sessionOf(account, "any"); err != nil {
			yield(SessionStatus{}, err)
			return
		}
		l := listing{i, account, state, make(map[string]bool), yield}
		if l.waiting(ctx) {
			l.recorded(ctx)
		}
	}
}

// listing is one reading of the sessions. Those that wait are read first, so that
// one that a worker takes meanwhile is not missed.
type listing struct {
	*Inspector
	account string
	state   SessionState
	seen    map[string]bool
	yield   func(SessionStatus, error) bool
}

// asks reports whether sessions in a state are asked for.
func (l *listing) asks(state SessionState) bool { return l.state == "" || l.state == state }

// isNew reports whether an id is a session's that was not looked at yet.
func (l *listing) isNew(id string) bool {
	account, token, _ := strings.Cut(id, ":")
	_, err := sessionOf(account, token)
	if l.seen[id] || account == "" || err != nil {
		return false
	}
	l.seen[id] = true
	return true
}

// waiting yields the sessions that have a task and no record. It reports whether
// the listing goes on.
func (l *listing) waiting(ctx context.Context) bool {
	if !l.asks(Waiting) {
		return true
	}
	prefix := ""
	if l.account != "" {
		prefix = l.account + ":"
	}
	for ids, err := range l.following.Unfinished(ctx, prefix) {
		if err == nil {
			ids, err = l.records.Unrecorded(ctx, ids)
		}
		if err != nil {
			l.yield(SessionStatus{}, err)
			return false
		}
		for _, id := range ids {
			if !l.isNew(id) {
				continue
			}
			account, token, _ := strings.Cut(id, ":")
			if !l.yield(SessionStatus{Account: account, Token: token, State: Waiting}, nil) {
				return false
			}
		}
	}
	return true
}

// recorded yields the sessions that have a record.
func (l *listing) recorded(ctx context.Context) {
	if l.state == Waiting {
		return
	}
	for entry, err := range l.records.List(ctx, l.account) {
		if err != nil {
			l.yield(SessionStatus{}, err)
			return
		}
		if !l.record(entry) {
			return
		}
	}
}

func (l *listing) record(entry outcome.Entry) bool {
	if !l.isNew(entry.ID) {
		return true
	}
	status, err := l.status(entry.ID, entry.Record)
	if err != nil {
		return l.yield(status, err) && errors.Is(err, ErrRecordVersion)
	}
	return !l.asks(status.State) || l.yield(status, nil)
}
