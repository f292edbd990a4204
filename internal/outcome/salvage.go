package outcome

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// KeptReason is the reason of outcomes whose session stays at MarkSign for the
// redelivery window after the event was delivered or given up: MarkSign said that
// the person was identified, and nobody could read as whom. Until then an operator
// can look at MarkSign's answer, which is sealed beside the record.
const KeptReason = "unusable_answer"

// NoteUnusable notes, for the holder, that MarkSign's answer could not be used,
// and why. The answer itself is sealed, the last one that there was; nil keeps an
// earlier one. It is erased if the session gets another outcome, if it is
// removed, and when the redelivery window is over. It is not applied if
// somebody else holds the session.
func (s *Store) NoteUnusable(ctx context.Context, session Session, holder, why string, answer []byte) (Change, error) {
	var sealed []byte
	if answer != nil {
		sealed = s.cfg.Keyring.seal(session.salvageName(), answer)
	}
	keep := s.cfg.SessionTimeout + s.cfg.DeliveryWindow + s.cfg.RedeliveryWindow + margin
	return s.run(ctx, s.cfg.Redis, noteUnusableScript, session, holder, why, sealed, keep.Milliseconds())
}

// NoteTrouble notes, for the holder, why MarkSign gave no usable answer to a poll.
func (s *Store) NoteTrouble(ctx context.Context, session Session, holder, why string) error {
	_, err := s.run(ctx, s.cfg.Redis, noteTroubleScript, session, holder, why)
	return err
}

// Salvaged returns the answer that NoteUnusable sealed, or an ErrSeal error. It is
// personal data, and may be somebody else's than the session's.
func (s *Store) Salvaged(ctx context.Context, session Session) ([]byte, error) {
	sealed, err := s.cfg.Redis.Get(ctx, s.salvageKey(session.ID)).Bytes()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("the session's sealed answer: %w", err)
	}
	return s.cfg.Keyring.open(session.salvageName(), sealed)
}
