package outcome

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

// withWindows is the store of a process with other settings.
func (s *Store) withWindows(delivery, redelivery time.Duration) *Store {
	cfg := s.cfg
	cfg.DeliveryWindow, cfg.RedeliveryWindow = delivery, redelivery
	return NewStore(cfg)
}

func TestRecord_IsKeptForWhoNeedsItLongest(t *testing.T) {
	const day = 24 * time.Hour
	short, long := time.Hour, 20*day
	steps := map[string]func(context.Context, *testing.T, *Store){
		"claim": func(ctx context.Context, t *testing.T, s *Store) { must(t)(s.Claim(ctx, session, "b", claimTime)) },
		"claim refused": func(ctx context.Context, t *testing.T, s *Store) {
			mustNot(t)(s.Claim(ctx, session, "c", claimTime))
		},
		"fail":      func(ctx context.Context, t *testing.T, s *Store) { must(t)(s.Fail(ctx, session, "b", "HTTP 500")) },
		"hand over": func(ctx context.Context, t *testing.T, s *Store) { must(t)(s.HandOver(ctx, session, "b", "x")) },
		"keep": func(ctx context.Context, t *testing.T, s *Store) {
			if _, err := s.Keep(ctx, session); err != nil {
				t.Fatal(err)
			}
		},
	}
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		ttls := func() (record, sealed time.Duration) {
			return s.cfg.Redis.PTTL(ctx, recordKey(session)).Val(), s.cfg.Redis.PTTL(ctx, sealedKey(session)).Val()
		}
		for name, step := range steps {
			s.cfg.Redis.FlushAll(ctx)
			must(t)(s.withWindows(short, 0).SealHanded(ctx, session, result, "x"))
			if _, sealed := ttls(); sealed > short+margin {
				t.Fatalf("the short window keeps the result for %v", sealed)
			}
			if name != "claim" {
				must(t)(s.withWindows(short, 0).Claim(ctx, session, "b", claimTime))
			}
			step(ctx, t, s.withWindows(long, 0))
			record, sealed := ttls()
			if sealed < long || sealed > long+margin || record < sealed {
				t.Errorf("%s by a process with a longer window keeps the result for %v, the record for %v", name, sealed, record)
			}
			must(t)(s.withWindows(short, 0).Claim(ctx, session, "b", claimTime))
			if afterwards, alsoSealed := ttls(); alsoSealed < sealed-time.Minute || afterwards < record-time.Minute {
				t.Errorf("after %s a process with a shorter window leaves %v and %v of %v and %v", name, afterwards, alsoSealed, record, sealed)
			}
		}
	})
}

func TestFollow_KeepsTheRecordForTheLongerTimeout(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		long := s.withWindows(60*24*time.Hour, 0)
		follow(ctx, t, s, "a")
		follow(ctx, t, long, "b")
		kept := s.cfg.Redis.PTTL(ctx, recordKey(session)).Val()
		if kept < 60*24*time.Hour {
			t.Errorf("the record is kept for %v", kept)
		}
		follow(ctx, t, s, "a")
		if left := s.cfg.Redis.PTTL(ctx, recordKey(session)).Val(); left < kept-time.Minute {
			t.Errorf("a shorter timeout leaves %v of %v", left, kept)
		}
	})
}

func TestFollow_BeginsNoRecordAgainstTheEvidence(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		s.cfg.Redis.HSet(ctx, "task", "result", "")
		for name, evidence := range map[string]Evidence{
			"a key": told(ctx, s), "the field": {Hash: "task", Field: "result"}, "the field alone": {Hash: "task", Field: "result", Keys: []string{"no such key"}},
		} {
			r, err := s.Follow(ctx, session, "a", evidence)
			if err != nil || r.State != None || s.cfg.Redis.Exists(ctx, recordKey(session)).Val() != 0 {
				t.Fatalf("%s: %+v, %v", name, r, err)
			}
		}
		r, err := s.Follow(ctx, session, "a", Evidence{Hash: "task", Field: "another", Keys: []string{"no such key"}})
		if err != nil || r.State != Following {
			t.Fatalf("without evidence: %+v, %v", r, err)
		}
		if r, err := s.Follow(ctx, session, "b", told(ctx, s)); err != nil || r.State != Following || r.Holder != "b" {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// A process with a short REDELIVERY_WINDOW, or none, takes nothing from the list,
// and no time from a record, of one with a long one.
func TestGiveUp_LeavesWhatOthersKeepForLonger(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		none := s.withWindows(time.Hour, 0)
		other := Session{ID: "default:token-2", Retention: time.Hour}
		must(t)(s.SealHanded(ctx, session, result, "x"))
		must(t)(s.GiveUp(ctx, session, "a", "HTTP 410", nil))
		s.cfg.Redis.ZAdd(ctx, givenUpList, redis.Z{Score: 1, Member: session.ID}) // long ago
		must(t)(none.SealHanded(ctx, other, result, "x"))
		must(t)(none.GiveUp(ctx, other, "a", "HTTP 410", nil))
		if ids, err := s.GivenUp(ctx, time.Time{}); err != nil || !slices.Equal(ids, []string{session.ID}) {
			t.Errorf("listed: %q, %v", ids, err)
		}
		must(t)(none.EndRemoval(ctx, session, Removed))
		must(t)(none.Settle(ctx, session))
		record, sealed := s.cfg.Redis.PTTL(ctx, recordKey(session)).Val(), s.cfg.Redis.PTTL(ctx, sealedKey(session)).Val()
		if sealed < 6*24*time.Hour || record < sealed {
			t.Errorf("the result is kept for %v, the record for %v", sealed, record)
		}
	})
}

func TestPruneGivenUp_TakesOffWhatIsErased(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		other := Session{ID: "default:token-2"}
		for _, of := range []Session{session, other} {
			must(t)(s.SealHanded(ctx, of, result, "x"))
			must(t)(s.GiveUp(ctx, of, "a", "HTTP 410", nil))
		}
		s.cfg.Redis.Del(ctx, sealedKey(other))
		if err := s.PruneGivenUp(ctx, []string{session.ID, other.ID, "default:unknown"}); err != nil {
			t.Fatal(err)
		}
		if ids, err := s.GivenUp(ctx, time.Time{}); err != nil || !slices.Equal(ids, []string{session.ID}) {
			t.Errorf("listed: %q, %v", ids, err)
		}
	})
}

func TestSalvage_OpensTheResultOfALostRecord(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		if _, err := s.Salvage(ctx, session); !errors.Is(err, ErrSealMissing) {
			t.Errorf("without a result: %v", err)
		}
		must(t)(s.SealHanded(ctx, session, result, "x"))
		s.cfg.Redis.Del(ctx, recordKey(session))
		got, err := s.Salvage(ctx, session)
		if err != nil || got.Type != result.Type || string(got.Body) != string(result.Body) {
			t.Errorf("%v, %v", got, err)
		}
		s.cfg.Redis.Set(ctx, sealedKey(session), "", time.Hour)
		if _, err := s.Salvage(ctx, session); !errors.Is(err, ErrSealMissing) {
			t.Errorf("of an empty result: %v", err)
		}
	})
}

// clocked is a store on a Redis whose clock the test sets.
func clocked(t *testing.T) (*Store, *miniredis.Miniredis, time.Time) {
	t.Helper()
	rdb, m := redistest.Embedded()
	t.Cleanup(func() { rdb.Close(); m.Close() })
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	m.SetTime(at)
	return newStore(t, rdb), m, at
}

func TestClaim_LastsNoLongerWhenTheClockStepsBack(t *testing.T) {
	t.Parallel()
	s, m, at := clocked(t)
	ctx := t.Context()
	must(t)(s.Seal(ctx, session, result, "a", claimTime))
	at = at.Add(-time.Hour)
	m.SetTime(at)
	if r := mustNot(t)(s.Claim(ctx, session, "b", claimTime)); r.ClaimLeft("b") != claimTime {
		t.Errorf("the claim is over in %v", r.ClaimLeft("b"))
	}
	m.SetTime(at.Add(claimTime))
	must(t)(s.Claim(ctx, session, "b", claimTime))
}

func TestRemoving_WaitsNoLongerWhenTheClockStepsBack(t *testing.T) {
	t.Parallel()
	s, m, at := clocked(t)
	ctx := t.Context()
	must(t)(s.Deliver(ctx, session, result))
	at = at.Add(-time.Hour)
	m.SetTime(at)
	if r := mustNot(t)(s.Removing(ctx, session, 0)); r.RemovalLeft() != RemovalDelay {
		t.Errorf("the removal is due in %v", r.RemovalLeft())
	}
	m.SetTime(at.Add(RemovalDelay))
	must(t)(s.Removing(ctx, session, 0))
}
