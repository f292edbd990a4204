package outcome

import (
	"context"
	commandline "flag"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/identwatch/identwatch/internal/redistest"
)

const (
	modelTimeout = 15 * time.Minute
	modelWindow  = 72 * time.Hour
)

// TestModel has several workers call the store in any order, lets time pass and
// Redis lose its last writes, and compares each step with a story told in Go.
// -rapid.checks=N makes it longer.
func TestModel(t *testing.T) {
	t.Parallel()
	setChecks(t, 150)
	rdb, m := redistest.Embedded()
	t.Cleanup(func() { rdb.Close(); m.Close() })
	m.ClockTTL(true)
	rapid.Check(t, func(t *rapid.T) {
		newMachine(t, rdb, m).run(t)
	})
}

// setChecks sets how many stories are tried where nobody says it.
func setChecks(t *testing.T, checks int) {
	t.Helper()
	said := commandline.Lookup("rapid.checks").DefValue != "100" // by RAPID_CHECKS
	commandline.Visit(func(f *commandline.Flag) { said = said || f.Name == "rapid.checks" })
	if said {
		return
	}
	if err := commandline.Lookup("rapid.checks").Value.Set(strconv.Itoa(checks)); err != nil {
		t.Fatal(err)
	}
}

// machine is the record in Redis, the story that it must tell, and what has been
// seen of it so far.
type machine struct {
	ctx   context.Context
	store *Store
	rdb   *redis.Client
	redis *miniredis.Miniredis
	now   time.Time

	story  story
	seen   Record  // as it was last
	claims []claim // that were granted
	saved  *save
}

// claim is the time in which one worker may post.
type claim struct {
	claimant    string
	from, until time.Time
}

// save is what a Redis that restarts still has.
type save struct {
	at     time.Time
	story  story
	seen   Record
	claims []claim
	record map[string]string
	sealed string
	listed []redis.Z
}

func newMachine(t *rapid.T, rdb *redis.Client, m *miniredis.Miniredis) *machine {
	m.FlushAll()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	m.SetTime(now)
	keys, err := NewKeyring(testKey)
	if err != nil {
		t.Fatal(err)
	}
	window := rapid.SampledFrom([]time.Duration{7 * 24 * time.Hour, 60 * 24 * time.Hour, 0}).Draw(t, "redelivery window")
	return &machine{
		ctx: context.Background(), rdb: rdb, redis: m, now: now, story: story{redeliveryWindow: window},
		store: NewStore(Config{
			Redis: rdb, Keyring: keys, SessionTimeout: modelTimeout, DeliveryWindow: modelWindow, RedeliveryWindow: window,
		}),
	}
}

// step calls the store and the story, at times twice, as a client does whose
// connection broke before the answer: that changes no more than a count.
func (w *machine) step(t *rapid.T, claimant string, call func() (Change, error), tell func() bool) {
	before := w.story
	times := rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "times")
	for range times {
		want := tell()
		change, err := call()
		if err != nil || change.Applied != want {
			t.Fatalf("applied %v, error %v, want %v; the story before: %+v", change.Applied, err, want, before)
		}
		w.compare(t, change.Record)
		if change.Applied && claimant != "" {
			w.noteClaim(t, claimant)
		}
		w.see(t, change.Record)
	}
}

// noteClaim fails where two workers may post at once.
func (w *machine) noteClaim(t *rapid.T, claimant string) {
	for i, c := range w.claims {
		if c.claimant != claimant && c.until.After(w.now) && w.seen.claimant == c.claimant {
			t.Fatalf("%s may post while %s may", claimant, c.claimant)
		}
		if c.claimant == claimant && c.until.After(w.now) {
			w.claims[i].until = w.now
		}
	}
	if !w.seen.State.AsksPost() && w.seen.State != None && w.seen.State != Following {
		t.Fatalf("%s may post what is %q", claimant, w.seen.State)
	}
	w.claims = append(w.claims, claim{claimant, w.now, w.now.Add(claimTime)})
}

func (w *machine) pause(d time.Duration) {
	w.now = w.now.Add(d)
	w.redis.SetTime(w.now)
	w.pass()
}

// pass forgets what has expired.
func (w *machine) pass() {
	before := w.story.state
	w.story.pass(w.now)
	if before != w.story.state {
		w.seen, w.claims = Record{}, nil
	}
}

func (w *machine) save() {
	w.saved = &save{
		at: w.now, story: w.story, seen: w.seen, claims: slices.Clone(w.claims),
		record: w.rdb.HGetAll(w.ctx, recordKey(session)).Val(), sealed: w.rdb.Get(w.ctx, sealedKey(session)).Val(),
		listed: w.rdb.ZRangeWithScores(w.ctx, givenUpList, 0, -1).Val(),
	}
}

// lose restarts Redis from what it saved last: from nothing, where it never did.
func (w *machine) lose() {
	w.redis.FlushAll()
	if w.saved == nil {
		w.story, w.seen, w.claims = story{redeliveryWindow: w.story.redeliveryWindow}, Record{}, nil
		return
	}
	s := w.saved
	w.story, w.seen, w.claims = s.story, s.seen, slices.Clone(s.claims)
	if len(s.record) > 0 {
		w.rdb.HSet(w.ctx, recordKey(session), s.record)
		w.rdb.PExpireAt(w.ctx, recordKey(session), s.story.ends)
	}
	if s.sealed != "" {
		w.rdb.Set(w.ctx, sealedKey(session), s.sealed, 0)
		w.rdb.PExpireAt(w.ctx, sealedKey(session), s.story.sealedEnds)
	}
	if len(s.listed) > 0 {
		w.rdb.ZAdd(w.ctx, givenUpList, s.listed...)
	}
	w.pass()
}

// check reads the record back, and checks what must hold whatever happened.
func (w *machine) check(t *rapid.T) {
	r, err := w.store.Read(w.ctx, session)
	if err != nil {
		t.Fatal(err)
	}
	w.compare(t, r)
	w.checkKeys(t, r)
	w.checkSealed(t, r)
	w.see(t, r)
}

// see fails where a fact was taken back.
func (w *machine) see(t *rapid.T, r Record) {
	before := w.seen
	w.seen = r
	if before.State == None {
		return
	}
	if final := !before.Final.IsZero(); final && (before.Type != r.Type || before.Reason != r.Reason || !before.Final.Equal(r.Final)) {
		t.Fatalf("the outcome %q became %q", before.Type, r.Type)
	}
	if r.Attempts < before.Attempts || r.Removals < before.Removals || r.Refusals < before.Refusals || !r.Started.Equal(before.Started) {
		t.Fatalf("counts went back: %+v, before %+v", r, before)
	}
	if before.Removal == Removed && r.Removal != Removed || before.State == Delivered && r.State != Delivered {
		t.Fatalf("a fact was taken back: %+v, before %+v", r, before)
	}
	if before.Removal != r.Removal && !before.State.MayRemove() && r.State != Cancelled {
		t.Fatalf("removal %q in state %q", r.Removal, before.State)
	}
}

// checkKeys: every key has a time to live, and the record outlives the result.
func (w *machine) checkKeys(t *rapid.T, r Record) {
	kept, sealedKept := w.redis.TTL(recordKey(session)), w.redis.TTL(sealedKey(session))
	if r.State == None {
		if w.redis.Exists(recordKey(session)) || w.redis.Exists(sealedKey(session)) {
			t.Fatal("a key outlived the record")
		}
		return
	}
	if kept <= 0 || kept > 95*24*time.Hour || kept != w.story.ends.Sub(w.now) {
		t.Fatalf("the %s record is kept for %v, want %v", r.State, kept, w.story.ends.Sub(w.now))
	}
	if r.HasSealed() && (sealedKept <= 0 || sealedKept > kept || sealedKept != w.story.sealedEnds.Sub(w.now)) {
		t.Fatalf("the sealed result is kept for %v, want %v; the record for %v", sealedKept, w.story.sealedEnds.Sub(w.now), kept)
	}
	ids, err := w.store.GivenUp(w.ctx, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	listed := slices.Contains(ids, session.ID)
	if again := r.State == GivenUp || r.State == Redelivering; again && r.HasSealed() && !listed || r.State == Delivered && listed {
		t.Fatalf("%s, with a sealed result %v, listed as given up: %v", r.State, r.HasSealed(), listed)
	}
}

// checkSealed: the result is there only while it may be posted, as it was first
// sealed, and never in clear.
func (w *machine) checkSealed(t *rapid.T, r Record) {
	if strings.Contains(w.rdb.Get(w.ctx, sealedKey(session)).Val(), "MARKED") {
		t.Fatal("Redis shows the result")
	}
	if r.HasSealed() && !r.State.AsksPost() && r.State != GivenUp {
		t.Fatalf("the result is there in state %q", r.State)
	}
	opened, err := w.store.Salvage(w.ctx, session)
	if r.HasSealed() && (err != nil || !reflect.DeepEqual(opened, w.story.told)) {
		t.Fatalf("opened %q, %v, sealed %q", opened.Body, err, w.story.told.Body)
	}
}

func (w *machine) compare(t *rapid.T, r Record) {
	m := w.story
	same := r.State == m.state && r.Removal == m.removal && r.Type == m.told.Type && r.Reason == m.told.Reason &&
		r.Polls == m.polls && r.Attempts == m.attempts && r.AttemptsBefore == m.before && r.Removals == m.removals &&
		r.Refusals == m.refusals && r.Holder == m.holder && r.LastError == m.why && r.HasSealed() == m.sealed &&
		r.Now.Equal(w.now)
	for _, claimant := range []string{"a", "b", "c", ""} {
		want := time.Duration(0)
		if m.claimant != "" && m.claimant != claimant {
			want = m.claimUntil.Sub(w.now)
		}
		same = same && r.ClaimLeft(claimant) == want
	}
	if !same {
		t.Fatalf("Redis has %+v\nthe story is %+v", r, m)
	}
}
