package outcome

import (
	"strings"
	"time"

	"pgregory.net/rapid"
)

var (
	someWorker = rapid.SampledFrom([]string{"a", "b", "c"})
	someWhy    = rapid.SampledFrom([]string{"HTTP 500", "timed out"})
	someResult = rapid.SampledFrom([]Result{
		{Type: "identification.completed", Polls: 7, Time: time.UnixMilli(1).UTC(), Body: []byte(`{"person":"JONAS MARKED"}`), Instructions: instructions},
		{Type: "identification.failed", Reason: "not_found", Polls: 8, Time: time.UnixMilli(2).UTC(), Body: []byte(`{"error":{}}`), Instructions: instructions},
		{Type: "identification.expired", Reason: "deadline", Time: time.UnixMilli(3).UTC(), Body: []byte(`{}`), Instructions: instructions},
	})
	shortPause = rapid.SampledFrom([]time.Duration{
		time.Millisecond, time.Second, RemovalDelay - time.Millisecond, RemovalDelay, claimTime - time.Millisecond, claimTime,
	})
	longPause   = rapid.SampledFrom([]time.Duration{time.Minute, 25 * time.Hour, modelWindow + margin, 7 * 24 * time.Hour, 30 * 24 * time.Hour})
	someFailure = rapid.SampledFrom([]FailedRemoval{
		{Why: "HTTP 500", Sent: true}, {Why: "removal refused", Sent: true, Refused: true}, {Why: "no replica"},
	})
)

// actions are what any worker may do at any time, whatever the record says.
func (w *machine) actions() map[string]func(*rapid.T) {
	store, story := w.store, &w.story
	actions := map[string]func(*rapid.T){
		"follow": func(t *rapid.T) {
			holder := someWorker.Draw(t, "holder")
			w.step(t, "", func() (Change, error) {
				r, err := store.Follow(w.ctx, session, holder, Evidence{})
				return Change{true, r}, err
			}, func() bool { return story.follow(w.now, holder) })
		},
		"take over": func(t *rapid.T) {
			holder := someWorker.Draw(t, "holder")
			w.step(t, "", func() (Change, error) {
				r, err := store.Follow(w.ctx, session, holder, told(w.ctx, store))
				return Change{true, r}, err
			}, func() bool { return story.state == None || story.follow(w.now, holder) })
		},
		"keep": func(t *rapid.T) {
			w.step(t, "", func() (Change, error) {
				r, err := store.Keep(w.ctx, session)
				return Change{true, r}, err
			}, func() bool { return story.keep(w.now) })
		},
		"prune": func(t *rapid.T) {
			if err := store.PruneGivenUp(w.ctx, []string{session.ID}); err != nil {
				t.Fatal(err)
			}
		},
		"forget": func(t *rapid.T) {
			holder := someWorker.Draw(t, "holder")
			if story.forget(holder) {
				w.seen, w.claims = Record{}, nil
			}
			if err := store.Forget(w.ctx, session, holder); err != nil {
				t.Fatal(err)
			}
		},
		"seal": func(t *rapid.T) {
			by, r := someWorker.Draw(t, "claimant"), someResult.Draw(t, "result")
			w.step(t, by, func() (Change, error) { return store.Seal(w.ctx, session, r, by, claimTime) },
				func() bool { return story.seal(w.now, r, Sealed, by, "") })
		},
		"seal handed": func(t *rapid.T) {
			r, why := someResult.Draw(t, "result"), someWhy.Draw(t, "why")
			w.step(t, "", func() (Change, error) { return store.SealHanded(w.ctx, session, r, why) },
				func() bool { return story.seal(w.now, r, Handed, "", why) })
		},
		"claim": func(t *rapid.T) {
			by := someWorker.Draw(t, "claimant")
			w.step(t, by, func() (Change, error) { return store.Claim(w.ctx, session, by, claimTime) },
				func() bool { return story.claim(w.now, by) })
		},
		"fail": func(t *rapid.T) {
			by, why := someWorker.Draw(t, "claimant"), someWhy.Draw(t, "why")
			w.step(t, "", func() (Change, error) { return store.Fail(w.ctx, session, by, why) },
				func() bool { return story.fail(w.now, by, why) })
		},
		"hand over": func(t *rapid.T) {
			by, why := someWorker.Draw(t, "claimant"), someWhy.Draw(t, "why")
			w.step(t, "", func() (Change, error) { return store.HandOver(w.ctx, session, by, why) },
				func() bool { return story.handOver(w.now, by, why) })
		},
		"deliver": func(t *rapid.T) {
			r := someResult.Draw(t, "result")
			w.step(t, "", func() (Change, error) { return store.Deliver(w.ctx, session, r) },
				func() bool { return story.deliver(w.now, r) })
		},
		"give up": func(t *rapid.T) {
			by, why := someWorker.Draw(t, "claimant"), someWhy.Draw(t, "why")
			w.step(t, "", func() (Change, error) { return store.GiveUp(w.ctx, session, by, why, []byte("task")) },
				func() bool { return story.giveUp(w.now, by, why) })
		},
		"redeliver": func(t *rapid.T) {
			w.step(t, "", func() (Change, error) { return store.Redeliver(w.ctx, session) },
				func() bool { return story.redeliver(w.now) })
		},
		"reseal": func(t *rapid.T) {
			by, same := someWorker.Draw(t, "claimant"), story.told
			same.Instructions = instructions
			w.step(t, "", func() (Change, error) { return store.Reseal(w.ctx, session, same, by) },
				func() bool { return story.reseal(w.now, by) })
		},
		"cancel": func(t *rapid.T) {
			removal := rapid.SampledFrom([]Removal{RemovalHanded, RemovalHanded, RemovedUnknown}).Draw(t, "removal")
			w.step(t, "", func() (Change, error) { return store.Cancel(w.ctx, session, removal) },
				func() bool { return story.cancel(w.now, removal) })
		},
		"removing": func(t *rapid.T) {
			w.step(t, "", func() (Change, error) { return store.Removing(w.ctx, session, 0) },
				func() bool { return story.removing(w.now) })
		},
		"fail removal": func(t *rapid.T) {
			failed := someFailure.Draw(t, "failed")
			w.step(t, "", func() (Change, error) { return store.FailRemoval(w.ctx, session, failed) },
				func() bool { return story.failRemoval(failed) })
		},
		"end removal": func(t *rapid.T) {
			how := rapid.SampledFrom([]Removal{Removed, RemovedUnknown}).Draw(t, "how")
			w.step(t, "", func() (Change, error) { return store.EndRemoval(w.ctx, session, how) },
				func() bool { return story.endRemoval(how) })
		},
		"settle": func(t *rapid.T) {
			w.step(t, "", func() (Change, error) { return store.Settle(w.ctx, session) },
				func() bool { return story.settle(w.now) })
		},
		"time passes":               func(t *rapid.T) { w.pause(shortPause.Draw(t, "pause")) },
		"much time passes":          func(t *rapid.T) { w.pause(longPause.Draw(t, "pause")) },
		"Redis saves":               func(*rapid.T) { w.save() },
		"Redis loses its last data": func(*rapid.T) { w.lose() },
		"Redis loses the result": func(*rapid.T) {
			w.redis.Del(sealedKey(session))
			w.story.sealed = false
		},
		"": w.check,
	}
	actions["claim too"] = actions["claim"] // what matters most comes more often
	return actions
}

// run begins somewhere in a story, for by chance alone few get far.
func (w *machine) run(t *rapid.T) {
	actions := w.actions()
	begin := rapid.SampledFrom([]string{
		"", "follow", "seal", "seal handed", "deliver", "cancel", "follow,cancel", "seal handed,give up", "seal handed,give up,redeliver",
		"seal handed,claim", "seal handed,give up,redeliver,claim", "seal handed,give up,end removal", "seal handed,give up,end removal,settle,redeliver",
	}).Draw(t, "beginning")
	for name := range strings.FieldsFuncSeq(begin, func(r rune) bool { return r == ',' }) {
		actions[name](t)
		w.check(t)
	}
	t.Repeat(actions)
}
