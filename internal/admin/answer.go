package admin

import (
	"context"
	"errors"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
)

// ErrNoAnswer says that no answer of MarkSign is kept for a session: there was none
// that could not be used, or its time is over.
var ErrNoAnswer = errors.New("no answer is kept: MarkSign sent none that could not be used, or its time is over")

// Answer returns what MarkSign answered for a session, as it came, if it said ok and
// could not be used. The keys are the workers' outcome keys. The answer is personal
// data, and may be of somebody else than the session's person: that may be why it
// could not be used.
//
// The error is ErrNoAnswer, that the keys are none or none of them opens the answer,
// or what Redis answered.
func (s *Sessions) Answer(ctx context.Context, name session.Name, keys [][]byte) ([]byte, error) {
	keyring, err := outcome.NewKeyring(keys...)
	if err != nil {
		return nil, err
	}
	records := outcome.NewStore(outcome.Config{Redis: s.redis, Shards: s.shards, Keyring: keyring})
	answer, err := records.Salvaged(ctx, outcome.Session{ID: name.ID()})
	if errors.Is(err, outcome.ErrSealMissing) {
		return nil, ErrNoAnswer
	}
	return answer, err
}
