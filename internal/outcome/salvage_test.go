package outcome

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/redistest"
)

const answered = `{"status":"ok","code":"39901019876"}`

func TestNoteUnusable_IsForTheHolderAlone(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		mustNot(t)(s.NoteUnusable(ctx, session, "w1", "ok without a token", []byte(answered)))
		if _, err := s.Follow(ctx, session, "w1", Evidence{}); err != nil {
			t.Fatal(err)
		}
		mustNot(t)(s.NoteUnusable(ctx, session, "w2", "ok without a token", []byte(answered)))
		if _, err := s.Salvaged(ctx, session); !errors.Is(err, ErrSealMissing) {
			t.Errorf("kept for another: %v", err)
		}
		must(t)(s.NoteUnusable(ctx, session, "w1", "ok without a token", []byte(answered)))
		r := must(t)(s.NoteUnusable(ctx, session, "w1", "answer over 8 MiB", nil)) // which cannot be kept
		if r.Unusables != 2 || r.Unusable != "answer over 8 MiB" {
			t.Errorf("%+v", r)
		}
		if got, err := s.Salvaged(ctx, session); err != nil || string(got) != answered {
			t.Errorf("kept %q, error %v", got, err)
		}
		sealed, err := s.cfg.Redis.Get(ctx, salvageKey(session)).Result()
		if err != nil || len(sealed) <= len(answered) {
			t.Errorf("%q, error %v", sealed, err)
		}
		if err := s.cfg.Redis.Set(ctx, sealedKey(session), sealed, time.Hour).Err(); err != nil { // moved to be posted
			t.Fatal(err)
		}
		if _, err := s.Salvage(ctx, session); !errors.Is(err, ErrSealBroken) {
			t.Errorf("an answer opens as a result: %v", err)
		}
	})
}

func TestSalvaged_IsErasedByEveryOtherOutcome(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		for name, end := range map[string]func(Session) (Change, error){
			"sealed":    func(o Session) (Change, error) { return s.Seal(ctx, o, result, "c", claimTime) },
			"handed":    func(o Session) (Change, error) { return s.SealHanded(ctx, o, result, "no slot") },
			"delivered": func(o Session) (Change, error) { return s.Deliver(ctx, o, result) },
			"cancelled": func(o Session) (Change, error) { return s.Cancel(ctx, o, RemovalHanded) },
			"forgotten": func(o Session) (Change, error) { return Change{Applied: true}, s.Forget(ctx, o, "w1") },
		} {
			one := Session{ID: "default:" + name, Retention: time.Hour}
			if _, err := s.Follow(ctx, one, "w1", Evidence{}); err != nil {
				t.Fatal(err)
			}
			must(t)(s.NoteUnusable(ctx, one, "w1", "ok without a token", []byte(answered)))
			must(t)(end(one))
			if _, err := s.Salvaged(ctx, one); !errors.Is(err, ErrSealMissing) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Each process goes by its own window, in both directions, and what is kept outlives neither the window nor the DELETE.
func TestRemoving_KeepsWhatNobodyCouldUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rdb, mini := redistest.Embedded()
		defer mini.Close()
		defer rdb.Close()
		ctx := context.Background()
		store := func(window time.Duration) *Store {
			s := newStore(t, rdb)
			s.cfg.RedeliveryWindow = window
			return s
		}
		short, long := store(time.Hour), store(60*24*time.Hour)
		unusable := result
		unusable.Type, unusable.Reason = "identification.failed", KeptReason
		for _, one := range []Session{session, {ID: "default:none", Retention: time.Hour}} {
			if _, err := short.Follow(ctx, one, "w1", Evidence{}); err != nil {
				t.Fatal(err)
			}
			must(t)(short.NoteUnusable(ctx, one, "w1", "ok without a token", []byte(answered)))
			must(t)(short.Seal(ctx, one, unusable, "c", claimTime))
			must(t)(short.Deliver(ctx, one, unusable))
		}
		pass := func(d time.Duration) {
			time.Sleep(d)
			mini.FastForward(d)
		}
		pass(RemovalDelay)
		must(t)(store(0).Removing(ctx, Session{ID: "default:none"}, 0))
		r := mustNot(t)(short.Removing(ctx, session, 0))
		if !r.IsKept() || r.RemovalLeft() != time.Hour-RemovalDelay {
			t.Errorf("kept until %v, left %v", r.Kept, r.RemovalLeft())
		}
		if r = mustNot(t)(long.Removing(ctx, session, 0)); r.Kept.Sub(r.Ended) != 60*24*time.Hour {
			t.Errorf("kept for %v", r.Kept.Sub(r.Ended))
		}
		pass(50 * 24 * time.Hour) // the record must outlive the window
		if got, err := short.Salvaged(ctx, session); err != nil || string(got) != answered {
			t.Errorf("kept %q, error %v", got, err)
		}
		mustNot(t)(long.Removing(ctx, session, 0))
		if r = must(t)(short.Removing(ctx, session, 0)); r.IsKept() {
			t.Errorf("kept until %v", r.Kept)
		}
		must(t)(short.EndRemoval(ctx, session, Removed))
		if _, err := short.Salvaged(ctx, session); !errors.Is(err, ErrSealMissing) {
			t.Errorf("after the DELETE: %v", err)
		}
	})
}
