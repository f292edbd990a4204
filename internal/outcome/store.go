package outcome

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	sess "github.com/identwatch/identwatch/internal/session"
)

// Config says how a Store keeps its records.
type Config struct {
	Redis   redis.UniversalClient // required
	Shards  sess.Shards
	Keyring *Keyring // required
	// SessionTimeout is for how long a session is followed at most.
	SessionTimeout time.Duration
	// DeliveryWindow is for how long an event is posted again and again.
	DeliveryWindow time.Duration
	// RedeliveryWindow is for how long the sealed result is kept after delivery
	// was given up. Zero: it is erased at once.
	RedeliveryWindow time.Duration
}

// Store reads and changes records. It is safe for concurrent use, by any number
// of processes. What a method did to a record is in the [Change] that it returns.
type Store struct {
	cfg Config
}

// NewStore makes a Store.
func NewStore(cfg Config) *Store {
	return &Store{cfg}
}

// Session names a record, and carries what it takes to make a record again that
// Redis lost.
type Session struct {
	ID        string // "account:token"
	Retention time.Duration
}

// Of is the record of a job's session.
func Of(job sess.Job) Session { return Session{ID: job.ID(), Retention: job.Retention} }

// sealName is what a seal is bound to. It does not depend on the shard.
func (s Session) sealName() string { return "identwatch:" + s.ID }

func (s Session) salvageName() string { return s.sealName() + ":salvage" }

// Shard is where the record of a session is.
func (s *Store) Shard(session Session) sess.Shard { return s.cfg.Shards.Of(session.ID) }

func (s *Store) key(id string) string        { return s.cfg.Shards.Of(id).Key(id) }
func (s *Store) sealedKey(id string) string  { return s.key(id) + ":sealed" }
func (s *Store) salvageKey(id string) string { return s.key(id) + ":salvage" }

// keys are those of every script on one record.
func (s *Store) keys(session Session) []string {
	id := session.ID
	return []string{s.key(id), s.sealedKey(id), s.cfg.Shards.Of(id).Key(givenUp), s.salvageKey(id)}
}

func (s *Store) run(ctx context.Context, rdb redis.Scripter, sc *redis.Script, session Session, args ...any) (Change, error) {
	return runOn(ctx, rdb, sc, s.keys(session), args...)
}

func runOn(ctx context.Context, rdb redis.Scripter, sc *redis.Script, keys []string, args ...any) (Change, error) {
	reply, err := sc.Run(ctx, rdb, keys, slices.Concat(recordArgs, args)...).Result()
	if err != nil {
		return Change{}, fmt.Errorf("the session's record: %w", err)
	}
	return decode(reply)
}

// Read returns the record; its state is None if there is none.
func (s *Store) Read(ctx context.Context, session Session) (Record, error) {
	change, err := s.run(ctx, s.cfg.Redis, readScript, session)
	return change.Record, err
}

// Evidence is what proves that a session had its outcome, though its record may be lost:
// the hash has the field, or one of the keys exists. The zero Evidence proves nothing.
type Evidence struct {
	Hash, Field string
	Keys        []string
}

// Follow begins a record, or takes one over: from now on holder follows the session. It
// begins none if there is evidence that the session had its outcome; then the state of
// what it returns is None.
func (s *Store) Follow(ctx context.Context, session Session, holder string, told Evidence) (Record, error) {
	keep := s.cfg.SessionTimeout + s.cfg.DeliveryWindow + margin
	keys := s.keys(session)
	if told.Hash != "" {
		keys = append(append(keys, told.Hash), told.Keys...)
	}
	change, err := runOn(ctx, s.cfg.Redis, followScript, keys, holder, keep.Milliseconds(), session.Retention.Milliseconds(), told.Field)
	return change.Record, err
}

// Keep reads the record, and keeps it and its sealed result for as long as this
// process needs them. It is called when a task that needs them is put off.
func (s *Store) Keep(ctx context.Context, session Session) (Record, error) {
	change, err := s.run(ctx, s.cfg.Redis, keepScript, session, s.undeliveredKept())
	return change.Record, err
}

// Salvage returns the sealed result of a session whose record Redis lost, or an
// ErrSeal error. A seal of version 1 needs its record, and is ErrSealVersion.
func (s *Store) Salvage(ctx context.Context, session Session) (Result, error) {
	sealed, err := s.cfg.Redis.Get(ctx, s.sealedKey(session.ID)).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return Result{}, ErrSealMissing
	case err != nil:
		return Result{}, fmt.Errorf("the sealed result: %w", err)
	case len(sealed) > 0 && sealed[0] == sealVersionOld:
		return Result{}, ErrSealVersion
	}
	return s.Open(session, Record{sealed: sealed})
}

// Forget erases the record of a session that has no outcome and whose task
// somebody deleted, if holder still holds it.
func (s *Store) Forget(ctx context.Context, session Session, holder string) error {
	_, err := s.run(ctx, s.cfg.Redis, forgetScript, session, holder)
	return err
}

// others are looked for in batches, so that Redis answers others meanwhile.
const othersBatch = 1000

// HeldByOthers returns which of the sessions somebody else holds by now, or nobody.
func (s *Store) HeldByOthers(ctx context.Context, ids []string, holder string) (map[string]bool, error) {
	others := make(map[string]bool)
	for batch := range s.batches(ids, othersBatch) {
		places, err := heldByOthersScript.Run(ctx, s.cfg.Redis, s.keysOf(batch), holder).Int64Slice()
		if err != nil {
			return nil, fmt.Errorf("the sessions' records: %w", err)
		}
		for _, place := range places {
			others[batch[place-1]] = true
		}
	}
	return others, nil
}

// batches yields the ids of one shard after another, no more than size at once: a
// script's keys are all of one shard.
func (s *Store) batches(ids []string, size int) iter.Seq[[]string] {
	of := [][]string{ids}
	if s.cfg.Shards.Count() > 1 {
		of = make([][]string, s.cfg.Shards.Count())
		for _, id := range ids {
			n := s.cfg.Shards.Of(id).Number()
			of[n] = append(of[n], id)
		}
	}
	return func(yield func([]string) bool) {
		for _, ids := range of {
			for batch := range slices.Chunk(ids, max(size, 1)) {
				if !yield(batch) {
					return
				}
			}
		}
	}
}

// Seal writes the outcome, once, and claims the post for claimant. A repeated
// call of the same claimant is answered like the first, and claims again.
func (s *Store) Seal(ctx context.Context, session Session, result Result, claimant string, claim time.Duration) (Change, error) {
	return s.seal(ctx, session, result, Sealed, claimant, claim, "")
}

// SealHanded writes the outcome, once, for webhook:deliver to post.
func (s *Store) SealHanded(ctx context.Context, session Session, result Result, why string) (Change, error) {
	return s.seal(ctx, session, result, Handed, "", 0, why)
}

func (s *Store) seal(ctx context.Context, session Session, result Result, state State, claimant string, claim time.Duration, why string) (Change, error) {
	sealed, err := s.sealResult(session, result)
	if err != nil {
		return Change{}, err
	}
	return s.run(ctx, s.cfg.Redis, sealScript, session, string(state), result.Type, result.Reason, result.Polls, sealed,
		s.undeliveredKept(), claimant, claim.Milliseconds(), session.Retention.Milliseconds(), why, result.Time.UnixMilli())
}

func (s *Store) undeliveredKept() int64 { return (s.cfg.DeliveryWindow + margin).Milliseconds() }

// Open returns the result of a record that Claim returned, or an ErrSeal error.
// Everything in it is what was sealed, whatever the record says by now. Of a seal
// of version 1 that is true of the Body alone; its Instructions are nil.
func (s *Store) Open(session Session, r Record) (Result, error) {
	if r.HasSealed() && len(r.sealed) == 0 {
		return Result{}, errUnclaimed
	}
	plain, err := s.cfg.Keyring.open(session.sealName(), r.sealed)
	if err != nil {
		return Result{}, err
	}
	if r.sealed[0] == sealVersionOld {
		return Result{Type: r.Type, Reason: r.Reason, Polls: r.Polls, Time: r.EventTime, Body: plain}, nil
	}
	return decodeResult(plain)
}

var errUnclaimed = errors.New("only a record that was claimed comes with its sealed result")

func (s *Store) sealResult(session Session, result Result) ([]byte, error) {
	plain, err := encodeResult(result)
	if err != nil {
		return nil, err
	}
	return s.cfg.Keyring.seal(session.sealName(), plain), nil
}

// Claim takes the right to post for the duration given, if the state still asks for
// a post and nobody else may be posting. Only its record comes with the sealed result,
// for [Store.Open].
func (s *Store) Claim(ctx context.Context, session Session, claimant string, claim time.Duration) (Change, error) {
	return s.run(ctx, s.cfg.Redis, claimScript, session, claimant, claim.Milliseconds(), s.undeliveredKept())
}

// Fail notes that claimant's post failed, and gives the claim back.
func (s *Store) Fail(ctx context.Context, session Session, claimant, why string) (Change, error) {
	return s.run(ctx, s.cfg.Redis, failScript, session, claimant, why, s.undeliveredKept())
}

// HandOver leaves the post to webhook:deliver.
func (s *Store) HandOver(ctx context.Context, session Session, claimant, why string) (Change, error) {
	return s.run(ctx, s.cfg.Redis, handOverScript, session, claimant, why, s.undeliveredKept())
}

// Deliver notes that a receiver acknowledged the event, and erases the result.
func (s *Store) Deliver(ctx context.Context, session Session, result Result) (Change, error) {
	return s.run(ctx, s.cfg.Redis, deliverScript, session, session.ID, result.Type, result.Reason, result.Polls, session.Retention.Milliseconds())
}

// Reseal seals a result again that could not be opened, for claimant, who made it
// from the same outcome. It is not applied if the redelivery window is over.
func (s *Store) Reseal(ctx context.Context, session Session, result Result, claimant string) (Change, error) {
	sealed, err := s.sealResult(session, result)
	if err != nil {
		return Change{}, err
	}
	return s.run(ctx, s.cfg.Redis, resealScript, session, claimant, sealed, s.undeliveredKept(), late.Milliseconds())
}

// Cancel ends a session that has no outcome yet; nothing is posted. With
// RemovalHanded its removal is left to session:remove, also if no worker took
// the session yet. RemovedUnknown is for a session whose task is gone, so that
// nobody can remove it; then one that has no record gets none.
func (s *Store) Cancel(ctx context.Context, session Session, removal Removal) (Change, error) {
	return s.run(ctx, s.cfg.Redis, cancelScript, session, session.Retention.Milliseconds(), string(removal))
}

// Settle is called by the run that ends the session's last task: the record is
// kept an hour longer than the task and, if delivery was given up, a day longer
// than the redelivery window and than the sealed result. It does nothing if the
// removal has not ended.
func (s *Store) Settle(ctx context.Context, session Session) (Change, error) {
	return s.run(ctx, s.cfg.Redis, settleScript, session, s.cfg.RedeliveryWindow.Milliseconds())
}
