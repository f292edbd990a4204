package outcome

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/redistest"
)

var (
	testKey  = []byte("0123456789abcdef0123456789abcdef")
	otherKey = []byte("fedcba9876543210fedcba9876543210")
	session  = Session{ID: "default:token-1", Retention: 24 * time.Hour}
	result   = Result{Type: "identification.completed", Polls: 7, Body: []byte(`{"person":"JONAS MARKED"}`), Instructions: instructions}
	// instructions are what the application of the tests' session said.
	instructions = &Instructions{
		Account: "default", CallbackURL: "https://app.example/hook", Method: "smart_id", Locale: "en", Reference: "order-1", Checks: []string{"peps"},
	}
)

const claimTime = 17 * time.Second

func newStore(t *testing.T, rdb *redis.Client, keys ...[]byte) *Store {
	t.Helper()
	if len(keys) == 0 {
		keys = [][]byte{testKey}
	}
	ring, err := NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return NewStore(Config{
		Redis: rdb, Keyring: ring,
		SessionTimeout: 15 * time.Minute, DeliveryWindow: 72 * time.Hour, RedeliveryWindow: 7 * 24 * time.Hour,
	})
}

// each runs a test on both Redises, with a store of its own.
func each(t *testing.T, test func(ctx context.Context, t *testing.T, s *Store)) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		test(t.Context(), t, newStore(t, rdb))
	})
}

// must fails the test where a call did not do what was asked.
func must(t *testing.T) func(c Change, err error) Record {
	t.Helper()
	return func(c Change, err error) Record {
		t.Helper()
		if err != nil || !c.Applied {
			t.Fatalf("applied %v, state %q, error %v; want it done", c.Applied, c.Record.State, err)
		}
		return c.Record
	}
}

// mustNot fails the test where a call did what it must not do.
func mustNot(t *testing.T) func(c Change, err error) Record {
	t.Helper()
	return func(c Change, err error) Record {
		t.Helper()
		if err != nil || c.Applied {
			t.Fatalf("applied %v, state %q, error %v; want it refused", c.Applied, c.Record.State, err)
		}
		return c.Record
	}
}

func follow(ctx context.Context, t *testing.T, s *Store, holder string) Record {
	t.Helper()
	r, err := s.Follow(ctx, session, holder, Evidence{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// told is evidence that there is, so that a record is taken over and none begins.
func told(ctx context.Context, s *Store) Evidence {
	if err := s.cfg.Redis.Set(ctx, "told", "", 0).Err(); err != nil {
		panic(err)
	}
	return Evidence{Hash: "no such hash", Field: "result", Keys: []string{"no such key", "told"}}
}

func TestStore_TellsAHappyStory(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		r := follow(ctx, t, s, "a")
		if r.State != Following || r.Started.IsZero() || r.Holder != "a" {
			t.Fatalf("record after Follow: %+v", r)
		}
		r = must(t)(s.Seal(ctx, session, result, "a.1", claimTime))
		if r.State != Sealed || r.Attempts != 1 || r.Polls != 7 || r.Type != result.Type || r.ClaimLeft("b") <= 0 || r.ClaimLeft("a.1") != 0 {
			t.Fatalf("record after Seal: %+v", r)
		}
		opened, err := s.Open(session, must(t)(s.Claim(ctx, session, "a.1", claimTime)))
		if err != nil || string(opened.Body) != string(result.Body) {
			t.Fatalf("opened %q, %v", opened.Body, err)
		}
		r = must(t)(s.Deliver(ctx, session, result))
		if r.State != Delivered || r.Ended.IsZero() || r.HasSealed() || !r.ClaimUntil.IsZero() {
			t.Fatalf("record after Deliver: %+v", r)
		}
		if r := mustNot(t)(s.Removing(ctx, session, 0)); r.RemovalLeft() <= time.Second {
			t.Fatalf("right after the note, %v are left until the removal", r.RemovalLeft())
		}
		pass(ctx, t, s)
		must(t)(s.Removing(ctx, session, 0))
		r = must(t)(s.EndRemoval(ctx, session, Removed))
		if r.Removal != Removed || r.RemovedAt.IsZero() || r.Removals != 1 {
			t.Fatalf("record after EndRemoval: %+v", r)
		}
		mustNot(t)(s.Removing(ctx, session, 0))
	})
}

// pass makes the session's end as old as a removal wants it.
func pass(ctx context.Context, t *testing.T, s *Store) {
	t.Helper()
	if err := s.cfg.Redis.HIncrBy(ctx, recordKey(session), "ended", -RemovalDelay.Milliseconds()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestSeal_FirstOutcomeWins(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		follow(ctx, t, s, "a")
		must(t)(s.Seal(ctx, session, result, "a.1", claimTime))
		late := Result{Type: "identification.failed", Reason: "not_found", Body: []byte("{}"), Instructions: instructions}
		r := mustNot(t)(s.Seal(ctx, session, late, "b.1", claimTime))
		if r.Type != result.Type {
			t.Errorf("the outcome became %q", r.Type)
		}
		mustNot(t)(s.SealHanded(ctx, session, late, "no slot"))
		mustNot(t)(s.Cancel(ctx, session, RemovalHanded))
	})
}

func TestSeal_RepeatedByTheSameClaimantIsAnsweredAlike(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		must(t)(s.Seal(ctx, session, result, "a.1", claimTime))
		r := must(t)(s.Seal(ctx, session, result, "a.1", claimTime))
		if r.Attempts != 1 {
			t.Errorf("attempts are %d after a repeated call", r.Attempts)
		}
	})
}

func TestSeal_AtOnceByManyIsWonByOne(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		won := 0
		for i := range 20 {
			wg.Go(func() {
				change, err := s.Seal(ctx, session, result, string(rune('a'+i)), claimTime)
				if err != nil {
					t.Error(err)
				}
				if change.Applied {
					mu.Lock()
					won++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%d of 20 sealed the outcome", won)
		}
	})
}

func TestClaim_IsGivenToOneAtATime(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		mustNot(t)(s.Claim(ctx, session, "a", claimTime)) // there is nothing to post
		must(t)(s.SealHanded(ctx, session, result, "no slot was free"))
		r := must(t)(s.Claim(ctx, session, "a", claimTime))
		if r.Attempts != 1 {
			t.Errorf("attempts are %d, want 1", r.Attempts)
		}
		r = mustNot(t)(s.Claim(ctx, session, "b", claimTime))
		if left := r.ClaimLeft("b"); left <= 16*time.Second || left > claimTime {
			t.Errorf("the claim is left for %v", left)
		}
		mustNot(t)(s.Fail(ctx, session, "b", "HTTP 500"))
		must(t)(s.Fail(ctx, session, "a", "HTTP 503"))
		r = must(t)(s.Claim(ctx, session, "b", claimTime))
		if r.Attempts != 2 || r.LastError != "HTTP 503" {
			t.Errorf("record after the second claim: %+v", r)
		}
		mustNot(t)(s.HandOver(ctx, session, "a", "HTTP 500"))
		mustNot(t)(s.GiveUp(ctx, session, "a", "HTTP 410", nil))
	})
}

func TestClaim_EndsByRedisClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb, m := redistest.Embedded()
		defer m.Close()
		defer rdb.Close()
		ctx := context.Background()
		s := newStore(t, rdb)
		must(t)(s.Seal(ctx, session, result, "a", claimTime))
		time.Sleep(claimTime - time.Millisecond)
		mustNot(t)(s.Claim(ctx, session, "b", claimTime))
		time.Sleep(time.Millisecond)
		r := must(t)(s.Claim(ctx, session, "b", claimTime))
		if r.Attempts != 2 {
			t.Errorf("attempts are %d, want 2", r.Attempts)
		}
	})
}

func TestHandOver_LeavesThePostToOthers(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		must(t)(s.Seal(ctx, session, result, "a", claimTime))
		r := must(t)(s.HandOver(ctx, session, "a", "timed out"))
		if r.State != Handed || r.LastError != "timed out" {
			t.Fatalf("record: %+v", r)
		}
		must(t)(s.HandOver(ctx, session, "a", "timed out"))
		must(t)(s.Claim(ctx, session, "b", claimTime))
	})
}

func TestDeliver_IsAFactWhateverTheRecordSays(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		r := must(t)(s.Deliver(ctx, session, result)) // Redis lost the record
		if r.State != Delivered || r.Type != result.Type || r.Polls != 7 || r.Attempts != 1 {
			t.Fatalf("record: %+v", r)
		}
		mustNot(t)(s.Seal(ctx, session, result, "b", claimTime))
		must(t)(s.Deliver(ctx, session, result))
	})
}

func TestDeliver_OverridesGivenUp(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		must(t)(s.Seal(ctx, session, result, "a", claimTime))
		must(t)(s.GiveUp(ctx, session, "a", "HTTP 410", nil))
		r := must(t)(s.Deliver(ctx, session, result))
		if r.State != Delivered || r.HasSealed() {
			t.Errorf("record: state %q, %d sealed bytes", r.State, r.sealedSize)
		}
	})
}

func TestGiveUp_KeepsTheResultForTheRedeliveryWindow(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		must(t)(s.Seal(ctx, session, result, "a", claimTime))
		r := must(t)(s.GiveUp(ctx, session, "a", "HTTP 410", nil))
		if r.State != GivenUp || !r.HasSealed() {
			t.Fatalf("record: state %q, %d sealed bytes", r.State, r.sealedSize)
		}
		ttl := s.cfg.Redis.PTTL(ctx, sealedKey(session)).Val()
		if ttl < 7*24*time.Hour-time.Minute || ttl > 7*24*time.Hour {
			t.Errorf("the sealed result is kept for %v", ttl)
		}
		if longer := s.cfg.Redis.PTTL(ctx, recordKey(session)).Val(); longer < 29*24*time.Hour {
			t.Errorf("the record is kept for %v", longer)
		}
		mustNot(t)(s.Claim(ctx, session, "b", claimTime))
		s.cfg.RedeliveryWindow = 0
		other := Session{ID: "default:token-2"}
		must(t)(s.Seal(ctx, other, result, "a", claimTime))
		if r := must(t)(s.GiveUp(ctx, other, "a", "HTTP 410", nil)); r.HasSealed() {
			t.Error("the sealed result is kept without a redelivery window")
		}
	})
}

func TestCancel_IsAnOutcomeLikeAnyOther(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		follow(ctx, t, s, "a")
		r := must(t)(s.Cancel(ctx, session, RemovalHanded))
		if r.State != Cancelled || r.Holder != "" || r.Removal != RemovalHanded || r.Ended.IsZero() {
			t.Fatalf("record: %+v", r)
		}
		if again := must(t)(s.Cancel(ctx, session, RemovedUnknown)); again.Removal != RemovalHanded || !again.Ended.Equal(r.Ended) {
			t.Fatalf("the second time: %+v", again)
		}
		if r := follow(ctx, t, s, "b"); r.State != Cancelled || r.Holder != "" {
			t.Fatalf("somebody holds it: %+v", r)
		}
		mustNot(t)(s.Seal(ctx, session, result, "a", claimTime))
		mustNot(t)(s.Claim(ctx, session, "a", claimTime))
		mustNot(t)(s.Deliver(ctx, session, result))
		pass(ctx, t, s)
		must(t)(s.Removing(ctx, session, 0))
	})
}

func TestCancel_OfASessionWhoseTaskIsGoneLeavesNothingToRemove(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		if r := mustNot(t)(s.Cancel(ctx, session, RemovedUnknown)); r.State != None {
			t.Fatalf("it made a record: %+v", r)
		}
		follow(ctx, t, s, "a")
		r := must(t)(s.Cancel(ctx, session, RemovedUnknown))
		if r.State != Cancelled || r.Removal != RemovedUnknown || r.RemovedAt.IsZero() {
			t.Fatalf("record: %+v", r)
		}
		mustNot(t)(s.Seal(ctx, session, result, "a", claimTime))
		pass(ctx, t, s)
		mustNot(t)(s.Removing(ctx, session, 0))
	})
}

func TestRemoving_OnlyWhenNothingIsLeftToPost(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		mustNot(t)(s.Removing(ctx, session, 0))
		follow(ctx, t, s, "a")
		mustNot(t)(s.Removing(ctx, session, 0))
		must(t)(s.Seal(ctx, session, result, "a", claimTime))
		mustNot(t)(s.Removing(ctx, session, 0))
		mustNot(t)(s.FailRemoval(ctx, session, FailedRemoval{Why: "HTTP 500", Sent: true}))
		mustNot(t)(s.EndRemoval(ctx, session, Removed))
		must(t)(s.HandOver(ctx, session, "a", "HTTP 500"))
		mustNot(t)(s.Removing(ctx, session, 0))
		must(t)(s.GiveUp(ctx, session, "b", "HTTP 410", nil))
		pass(ctx, t, s)
		must(t)(s.Removing(ctx, session, 0))
	})
}

func TestFailRemoval_CountsRefusals(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		must(t)(s.Deliver(ctx, session, result))
		must(t)(s.FailRemoval(ctx, session, FailedRemoval{Why: "HTTP 500", Sent: true}))
		r := must(t)(s.FailRemoval(ctx, session, FailedRemoval{Why: "refused", Sent: true, Refused: true}))
		if r.Removal != RemovalHanded || r.Refusals != 1 || r.Removals != 2 || r.RemoveBegun.IsZero() || r.LastError != "refused" {
			t.Fatalf("record: %+v", r)
		}
		must(t)(s.EndRemoval(ctx, session, RemovedUnknown))
		r = must(t)(s.EndRemoval(ctx, session, Removed))
		if r.Removal != Removed {
			t.Errorf("the removal is %q", r.Removal)
		}
		if r := must(t)(s.EndRemoval(ctx, session, RemovedUnknown)); r.Removal != Removed {
			t.Errorf("a removal that is known became %q", r.Removal)
		}
	})
}

func TestRemoving_WaitsForAReplica(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	rdb := primary.Client()
	s := newStore(t, rdb)
	ctx := t.Context()
	must(t)(s.Deliver(ctx, session, result))
	pass(ctx, t, s)
	if n, err := s.Replicas(ctx, session); n != 0 || err != nil {
		t.Fatalf("%d replicas, error %v; want none", n, err)
	}
	if _, err := s.Removing(ctx, session, 50*time.Millisecond); !errors.Is(err, ErrNotReplicated) {
		t.Fatalf("without a replica the error is %v", err)
	}
	replica := redistest.Start(t, "--replicaof", strings.Replace(primary.Addr, ":", " ", 1))
	_ = replica
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; n == 0; {
		var err error
		if n, err = s.Replicas(ctx, session); err != nil || time.Now().After(deadline) {
			t.Fatalf("%d replicas, error %v", n, err)
		}
	}
	must(t)(s.Removing(ctx, session, 20*time.Second))
}

func TestHeldByOthers_FindsWhatWasTakenOverOrLost(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		var ids []string
		for i := range 2 * othersBatch {
			id := Session{ID: "default:" + strings.Repeat("x", i%7) + time.Duration(i).String()}
			if _, err := s.Follow(ctx, id, "a", Evidence{}); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id.ID)
		}
		taken := ids[othersBatch+3]
		if _, err := s.Follow(ctx, Session{ID: taken}, "b", Evidence{}); err != nil {
			t.Fatal(err)
		}
		others, err := s.HeldByOthers(ctx, append(ids, "default:lost"), "a")
		if err != nil || len(others) != 2 || !others[taken] || !others["default:lost"] {
			t.Errorf("others %v, error %v", others, err)
		}
	})
}

func TestForget_OnlyWhatIsHeldAndHasNoOutcome(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		state := func() State {
			r, err := s.Read(ctx, session)
			if err != nil {
				t.Fatal(err)
			}
			return r.State
		}
		follow(ctx, t, s, "a")
		if err := s.Forget(ctx, session, "b"); err != nil || state() != Following {
			t.Fatalf("another's record: state %q, error %v", state(), err)
		}
		if err := s.Forget(ctx, session, "a"); err != nil || state() != None {
			t.Fatalf("the own record: state %q, error %v", state(), err)
		}
		follow(ctx, t, s, "a")
		must(t)(s.Seal(ctx, session, result, "a", claimTime))
		if err := s.Forget(ctx, session, "a"); err != nil || state() != Sealed {
			t.Fatalf("a sealed record: state %q, error %v", state(), err)
		}
	})
}

func TestFollow_KeepsTheFirstStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rdb, m := redistest.Embedded()
		defer m.Close()
		defer rdb.Close()
		s := newStore(t, rdb)
		ctx := context.Background()
		first := follow(ctx, t, s, "a")
		time.Sleep(time.Minute)
		second := follow(ctx, t, s, "b")
		if !second.Started.Equal(first.Started) || second.Now.Sub(second.Started) != time.Minute || second.Holder != "b" {
			t.Errorf("first %v, second %v at %v by %q", first.Started, second.Started, second.Now, second.Holder)
		}
	})
}

func TestRecord_HasATTLInEveryState(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		kept := func(step string, least time.Duration) {
			t.Helper()
			if ttl := s.cfg.Redis.PTTL(ctx, recordKey(session)).Val(); ttl < least || ttl > 40*24*time.Hour {
				t.Errorf("after %s the record is kept for %v, want at least %v", step, ttl, least)
			}
		}
		follow(ctx, t, s, "a")
		kept("Follow", 72*time.Hour)
		must(t)(s.Seal(ctx, session, result, "a", claimTime))
		kept("Seal", 95*time.Hour)
		must(t)(s.HandOver(ctx, session, "a", "x"))
		kept("HandOver", 95*time.Hour)
		if ttl := s.cfg.Redis.PTTL(ctx, sealedKey(session)).Val(); ttl < 95*time.Hour || ttl > 97*time.Hour {
			t.Errorf("the sealed result is kept for %v", ttl)
		}
		must(t)(s.Deliver(ctx, session, result))
		kept("Deliver", 29*24*time.Hour) // for tasks that were not ended yet
		mustNot(t)(s.Settle(ctx, session))
		must(t)(s.EndRemoval(ctx, session, Removed))
		must(t)(s.Settle(ctx, session))
		kept("Settle", 24*time.Hour+30*time.Minute)
		if ttl := s.cfg.Redis.PTTL(ctx, recordKey(session)).Val(); ttl > 26*time.Hour {
			t.Errorf("a settled record is kept for %v", ttl)
		}
	})
}

func TestRecord_OfAnUnknownVersionIsRefused(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		s.cfg.Redis.HSet(ctx, recordKey(session), "v", "2", "state", "new")
		if _, err := s.Read(ctx, session); !errors.Is(err, ErrRecordVersion) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestRecord_HoldsNothingPersonalInClear(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, s *Store) {
		must(t)(s.Seal(ctx, session, result, "a", claimTime))
		dump, err := redistest.Dump(ctx, s.cfg.Redis.(*redis.Client))
		if err != nil || !strings.Contains(dump, "default:token-1") || strings.Contains(dump, "MARKED") {
			t.Errorf("error %v, dump:\n%s", err, dump)
		}
	})
}

// The keys of a Redis that is no cluster.
const givenUpList = "identwatch:given-up"

func recordKey(s Session) string  { return "identwatch:" + s.ID }
func sealedKey(s Session) string  { return recordKey(s) + ":sealed" }
func salvageKey(s Session) string { return recordKey(s) + ":salvage" }
