package outcome

import "context"

// Holding is what the records say of the sessions that one worker follows. It is
// safe for concurrent use.
type Holding struct {
	store  *Store
	holder string
}

// HeldBy is the sessions of a holder.
func (s *Store) HeldBy(holder string) Holding { return Holding{s, holder} }

// HeldByOthers returns which of the sessions somebody else holds by now, or nobody.
func (h Holding) HeldByOthers(ctx context.Context, ids []string) (map[string]bool, error) {
	return h.store.HeldByOthers(ctx, ids, h.holder)
}

// Forget erases the record of a session that has no outcome and whose task somebody
// deleted, if the holder still holds it.
func (h Holding) Forget(ctx context.Context, id string) error {
	return h.store.Forget(ctx, Session{ID: id}, h.holder)
}
