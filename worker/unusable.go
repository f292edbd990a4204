package worker

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/outcome"
)

// ErrNoAnswer says that no answer of MarkSign is kept for a session: there was none
// that could not be used, or its time is over.
var ErrNoAnswer = errors.New("no answer is kept: MarkSign sent none that could not be used, or its time is over")

// UnusableAnswer returns what MarkSign answered for a session, as it came, if it
// said ok and could not be used. The keys are the workers' outcome keys, and an
// account of "" is tasks.DefaultAccount. The answer is personal data, and may be of
// somebody else than the session's person: that may be why it could not be used.
//
// The error is a *tasks.ValidationError, ErrNoAnswer, that no key opens the answer,
// or what Redis answered.
func UnusableAnswer(ctx context.Context, rdb redis.UniversalClient, keys [][]byte, account, token string) ([]byte, error) {
	session, err := sessionOf(account, token)
	if err != nil {
		return nil, err
	}
	keyring, err := outcome.NewKeyring(keys...)
	if err != nil {
		return nil, err
	}
	answer, err := outcome.NewStore(outcome.Config{Redis: rdb, Keyring: keyring}).Salvaged(ctx, outcome.Session{ID: session.ID()})
	if errors.Is(err, outcome.ErrSealMissing) {
		return nil, ErrNoAnswer
	}
	return answer, err
}
