package poll

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/sessiontest"
	"github.com/identwatch/identwatch/webhook"
)

// bed is a Poller and the session that it polls.
type bed struct {
	*sessiontest.Bed
	*Poller
	state *State
}

func inBed(t *testing.T, test func(b *bed)) {
	t.Helper()
	sessiontest.In(t, func(s *sessiontest.Bed) {
		counters := func(labels ...string) *prometheus.CounterVec {
			return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "n"}, labels)
		}
		b := &bed{Bed: s, Poller: New(Options{
			Records: s.Records, Holder: sessiontest.Holder, Pace: DefaultPace(), Log: s.Log,
			Metrics: Metrics{
				Polls: counters("account", "answer"), RateWait: prometheus.NewCounter(prometheus.CounterOpts{Name: "n"}), Unusable: counters("account"),
				Seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "n"}, []string{"account"}),
			},
		})}
		b.begin()
		test(b)
	})
}

// begin has this process hold the session, as its record says it stands.
func (b *bed) begin(keys ...queue.PayloadKey) {
	b.T.Helper()
	r, err := b.Records.Follow(b.Ctx, outcome.Of(sessiontest.Job()), sessiontest.Holder, outcome.Evidence{})
	if err != nil {
		b.T.Fatal(err)
	}
	b.state = Begin(sessiontest.Job(), b.Account(keys...), r, sessiontest.SessionTimeout)
}

func (b *bed) poll() Outcome { return b.Poll(b.Ctx, b.state) }

// pause is how long the session waits for its next poll.
func (b *bed) pause() time.Duration {
	b.T.Helper()
	o := b.poll()
	if o.Final != nil || o.Unsigned {
		b.T.Fatalf("no pause, but %+v", o)
	}
	return time.Until(o.Again)
}

// follow polls until the session is final, and reports for how long, and how often
// MarkSign was asked.
func (b *bed) follow() (r outcome.Result, took time.Duration, calls int) {
	b.T.Helper()
	b.MarkSign.Calls()
	for begun := time.Now(); time.Since(begun) < 2*sessiontest.SessionTimeout; {
		o := b.poll()
		calls += len(b.MarkSign.Calls())
		if o.Final != nil {
			return *o.Final, time.Since(begun), calls
		}
		time.Sleep(time.Until(o.Again))
	}
	b.T.Fatal("the session never ends")
	return outcome.Result{}, 0, 0
}

// isIn reports whether a pause is the one wanted, with jitter of some percent.
func isIn(pause, want time.Duration, percent int) bool {
	jitter := want * time.Duration(percent) / 100
	return pause >= want-jitter && pause <= want+jitter
}

func TestPoll_SaysWhatFollowsFromEachAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		answer  sessiontest.Answer
		verdict string
		typ     webhook.Type // of the outcome, or
		reason  string
		pause   time.Duration // until the next poll
		jitter  int           // percent
	}{
		"waiting":             {sessiontest.Waiting, "pending", "", "", time.Second, 10},
		"an unknown status":   {sessiontest.Answer{Body: `{"status":"on_hold"}`}, "pending", "", "", time.Second, 10},
		"ok":                  {sessiontest.Identified, "identified", webhook.Completed, "", 0, 0},
		"refused":             {sessiontest.Error(40020), "refused", webhook.Refused, "refused", 0, 0},
		"canceled":            {sessiontest.Answer{Body: `{"status":"canceled"}`}, "refused", webhook.Refused, "canceled", 0, 0},
		"expired":             {sessiontest.Error(40021), "expired", webhook.Expired, "session_expired", 0, 0},
		"no account":          {sessiontest.Error(40401), "failed", webhook.Failed, "no_account", 0, 0},
		"an unknown code":     {sessiontest.Error(40408), "failed", webhook.Failed, "unknown_error", 0, 0},
		"not found":           {sessiontest.Error(40402), "not_found", "", "", time.Second, 0},
		"certificate timeout": {sessiontest.Error(40801), "certificate_timeout", "", "", time.Second, 20},
		"technical trouble":   {sessiontest.Error(50001), "temporary", "", "", time.Second, 20},
		"down":                {sessiontest.Down, "temporary", "", "", time.Second, 20},
		"cut off":             {sessiontest.Cut, "temporary", "", "", time.Second, 20},
		"token rejected":      {sessiontest.Error(40003), "rejected", "", "", time.Second, 20},
		"misconfigured":       {sessiontest.Error(50004), "rejected", "", "", time.Second, 20},
		"ok for another":      {sessiontest.OtherToken, "unusable", "", "", time.Second, 20},
		"ok that broke off":   {sessiontest.CutOK, "temporary", "", "", time.Second, 20},
		"down for 20 s":       {sessiontest.Answer{Status: 503, RetryAfter: "20"}, "temporary", "", "", 20 * time.Second, 0},
		"down for an hour":    {sessiontest.Answer{Status: 503, RetryAfter: "3600"}, "temporary", "", "", 30 * time.Second, 0},
		"too many calls":      {sessiontest.Answer{Status: 429, RetryAfter: "7"}, "temporary", "", "", 7 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.MarkSign.Says(c.answer)
				o := b.poll()
				switch {
				case o.Unsigned, (o.Final != nil) != (c.typ != ""):
					t.Fatalf("%+v", o)
				case o.Final == nil && !isIn(time.Until(o.Again), c.pause, c.jitter):
					t.Errorf("polled again after %v, want %v ±%d %%", time.Until(o.Again), c.pause, c.jitter)
				case o.Final != nil && (o.Final.Type != string(c.typ) || o.Final.Reason != c.reason || o.Final.Polls != 1):
					t.Errorf("%s, reason %q, %d polls", o.Final.Type, o.Final.Reason, o.Final.Polls)
				}
				if n := testutil.ToFloat64(b.opts.Metrics.Polls.WithLabelValues("default", c.verdict)); n != 1 || len(b.MarkSign.Calls()) != 1 {
					t.Errorf("%v polls count as %s", n, c.verdict)
				}
				if b.Logged("MARKED") != 0 {
					t.Errorf("the log shows what MarkSign said of the person:\n%s", b.Logs())
				}
			})
		})
	}
}

func TestPoll_EndsAnAnswerThatMayStillChange(t *testing.T) {
	for name, c := range map[string]struct {
		answer sessiontest.Answer
		reason string
		calls  int
		least  time.Duration // until it ends
		most   time.Duration
	}{
		"not found for five seconds": {sessiontest.Error(40402), "not_found", 6, notFoundGrace, notFoundGrace},
		// Three pauses of 1, 2 and 4 s.
		"no certificate, four times": {sessiontest.Error(40801), "certificate_timeout", certificateTries + 1, 5600 * time.Millisecond, 8400 * time.Millisecond},
		// Five pauses of 1, 2, 4, 8 and 16 s.
		"no usable ok, six times": {sessiontest.OtherToken, webhook.ReasonUnusableAnswer, unusableTries, 24800 * time.Millisecond, 37200 * time.Millisecond},
		"another ok, six times":   {sessiontest.Answer{Body: `{"status":"ok"`}, webhook.ReasonUnusableAnswer, unusableTries, 24800 * time.Millisecond, 37200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.MarkSign.Says(c.answer)
				r, took, calls := b.follow()
				if r.Type != string(webhook.Failed) || r.Reason != c.reason || calls != c.calls || r.Polls != calls || took < c.least || took > c.most {
					t.Errorf("%s, reason %q, after %v, %d calls, %d polls", r.Type, r.Reason, took, calls, r.Polls)
				}
			})
		})
	}
}

// What MarkSign said before decides what an answer that is no outcome means.
func TestPoll_RemembersWhatMarkSignSaid(t *testing.T) {
	for name, c := range map[string]struct {
		before, then sessiontest.Answer
		typ          webhook.Type
		reason       string
	}{
		"known, then not found":      {sessiontest.Waiting, sessiontest.Error(40402), webhook.Failed, "not_found"},
		"no usable ok, then unknown": {sessiontest.OtherToken, sessiontest.Error(40402), webhook.Failed, webhook.ReasonUnusableAnswer},
		"no usable ok, then ok":      {sessiontest.OtherToken, sessiontest.Identified, webhook.Completed, ""},
		"no usable ok, then refused": {sessiontest.OtherToken, sessiontest.Error(40020), webhook.Refused, "refused"},
		"ok cut off, then unknown":   {sessiontest.CutOK, sessiontest.Error(40402), webhook.Failed, webhook.ReasonUnusableAnswer},
		"not found, then ok":         {sessiontest.Error(40402), sessiontest.Identified, webhook.Completed, ""},
		"down, then expired":         {sessiontest.Down, sessiontest.Error(40021), webhook.Expired, "session_expired"},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.MarkSign.Says(c.before)
				time.Sleep(b.pause())
				b.MarkSign.Says(c.then)
				o := b.poll()
				if o.Final == nil || o.Final.Type != string(c.typ) || o.Final.Reason != c.reason || o.Final.Polls != 2 {
					t.Errorf("%+v, %v", o, o.Final)
				}
			})
		})
	}
}

// A session is polled once more at its deadline, and no later.
func TestPoll_EndsAtTheDeadline(t *testing.T) {
	for name, c := range map[string]struct {
		all, last sessiontest.Answer
		typ       webhook.Type
		reason    string
	}{
		"nobody confirmed":          {sessiontest.Waiting, sessiontest.Waiting, webhook.Expired, webhook.ReasonDeadline},
		"confirmed at last":         {sessiontest.Waiting, sessiontest.Identified, webhook.Completed, ""},
		"unknown at last":           {sessiontest.Waiting, sessiontest.Error(40402), webhook.Failed, "not_found"},
		"no certificate at last":    {sessiontest.Waiting, sessiontest.Error(40801), webhook.Failed, "certificate_timeout"},
		"down all the time":         {sessiontest.Down, sessiontest.Down, webhook.Failed, webhook.ReasonUnavailable},
		"down at last":              {sessiontest.Waiting, sessiontest.Down, webhook.Failed, webhook.ReasonUnavailable},
		"down, and unknown at last": {sessiontest.Down, sessiontest.Error(40402), webhook.Failed, "not_found"},
		"down before":               {sessiontest.Down, sessiontest.Waiting, webhook.Expired, webhook.ReasonDeadline},
		"rejected all the time":     {sessiontest.Error(40003), sessiontest.Error(40003), webhook.Failed, webhook.ReasonUnavailable},
		"rejected before":           {sessiontest.Error(40003), sessiontest.Identified, webhook.Completed, ""},
		"misconfigured":             {sessiontest.Error(50004), sessiontest.Error(50004), webhook.Failed, webhook.ReasonUnavailable},
		"an ok that is of no use":   {sessiontest.Waiting, sessiontest.OtherToken, webhook.Failed, webhook.ReasonUnusableAnswer},
		"an ok that broke off":      {sessiontest.CutOK, sessiontest.Down, webhook.Failed, webhook.ReasonUnusableAnswer},
		"waits longer than is left": {sessiontest.Answer{Status: 503, RetryAfter: "30"}, sessiontest.Waiting, webhook.Expired, webhook.ReasonDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				begun := time.Now()
				deadline := begun.Add(sessiontest.SessionTimeout)
				b.MarkSign.Says(c.all)
				time.AfterFunc(sessiontest.SessionTimeout-time.Nanosecond, func() { b.MarkSign.Says(c.last) })
				o := b.poll()
				for ; o.Final == nil; o = b.poll() {
					if !time.Now().Before(deadline) || o.Again.After(deadline) {
						t.Fatalf("polled again %v after the deadline", o.Again.Sub(deadline))
					}
					b.MarkSign.Calls()
					time.Sleep(time.Until(o.Again))
					synctest.Wait()
				}
				calls := b.MarkSign.Calls()
				if len(calls) != 1 || !calls[0].At.Equal(deadline) {
					t.Errorf("the last poll: %v", calls)
				}
				if o.Final.Type != string(c.typ) || o.Final.Reason != c.reason {
					t.Errorf("%s, reason %q", o.Final.Type, o.Final.Reason)
				}
			})
		})
	}
}

func TestPoll_KeepsToThePaceOfTheSessionsAge(t *testing.T) {
	for name, c := range map[string]struct{ age, want time.Duration }{
		"new":             {0, time.Second},
		"just under 30 s": {30*time.Second - time.Nanosecond, time.Second},
		"30 s":            {30 * time.Second, 2 * time.Second},
		"just under 60 s": {60*time.Second - time.Nanosecond, 2 * time.Second},
		"60 s":            {60 * time.Second, 3 * time.Second},
		"just under 120":  {2*time.Minute - time.Nanosecond, 3 * time.Second},
		"120 s":           {2 * time.Minute, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				time.Sleep(c.age)
				if pause := b.pause(); !isIn(pause, c.want, 10) {
					t.Errorf("the pause is %v, want %v", pause, c.want)
				}
			})
		})
	}
}

// The pauses rise while MarkSign is in trouble, and a good answer ends that.
func TestPoll_BacksOffUntilAGoodAnswer(t *testing.T) {
	inBed(t, func(b *bed) {
		for _, trouble := range []sessiontest.Answer{sessiontest.Down, sessiontest.Error(50004), sessiontest.Cut, sessiontest.Error(50000)} {
			b.MarkSign.Says(trouble)
			for _, want := range []int{1, 2, 4, 8, 16, 30, 30} {
				if pause := b.pause(); !isIn(pause, time.Duration(want)*time.Second, 20) {
					t.Errorf("after %+v the pause is %v, want %v s ±20 %%", trouble, pause, want)
				}
			}
			b.MarkSign.Says(sessiontest.Waiting)
			if pause := b.pause(); !isIn(pause, time.Second, 10) {
				t.Errorf("after a good answer the pause is %v", pause)
			}
		}
	})
}

// Retry-After lengthens a pause, and shortens none.
func TestPoll_WaitsForRetryAfterAtLeast(t *testing.T) {
	inBed(t, func(b *bed) {
		b.MarkSign.Says(sessiontest.Answer{Status: 503, RetryAfter: "3"})
		for _, want := range []time.Duration{3 * time.Second, 3 * time.Second} {
			if pause := b.pause(); pause != want {
				t.Errorf("the pause is %v, want %v", pause, want)
			}
		}
		for _, want := range []int{4, 8, 16} {
			if pause := b.pause(); !isIn(pause, time.Duration(want)*time.Second, 20) {
				t.Errorf("the pause is %v, want %v s ±20 %%", pause, want)
			}
		}
	})
}

func TestPoll_CountsUnusableAnswersInARow(t *testing.T) {
	inBed(t, func(b *bed) {
		for range 3 {
			b.MarkSign.Says(sessiontest.OtherToken)
			for range unusableTries - 1 {
				b.pause()
			}
			b.MarkSign.Says(sessiontest.Waiting)
			b.pause()
		}
		b.MarkSign.Says(sessiontest.OtherToken)
		if r, _, calls := b.follow(); calls != unusableTries || r.Reason != webhook.ReasonUnusableAnswer {
			t.Errorf("%d more calls, reason %q", calls, r.Reason)
		}
		if n := testutil.ToFloat64(b.opts.Metrics.Unusable.WithLabelValues("default")); n != 1 || b.Logged("level=ERROR") != 1 {
			t.Errorf("%v sessions are counted, the log:\n%s", n, b.Logs())
		}
	})
}

// Another worker goes on with what was learned of an answer that nobody could use.
func TestPoll_KeepsAnUnusableAnswerForOtherWorkers(t *testing.T) {
	inBed(t, func(b *bed) {
		b.MarkSign.Says(sessiontest.OtherToken)
		b.pause()
		kept, err := b.Records.Salvaged(b.Ctx, outcome.Of(sessiontest.Job()))
		if err != nil || string(kept) != sessiontest.OtherToken.Body {
			t.Errorf("kept: %q, %v", kept, err)
		}
		b.begin()
		b.MarkSign.Says(sessiontest.Error(40402))
		if o := b.poll(); o.Final == nil || o.Final.Reason != webhook.ReasonUnusableAnswer {
			t.Errorf("%+v", o)
		}
	})
}

// An answer that Redis did not note counts for nothing, and is soon asked for again.
func TestPoll_AsksAgainForWhatRedisDidNotNote(t *testing.T) {
	inBed(t, func(b *bed) {
		b.MarkSign.Says(sessiontest.OtherToken)
		b.RedisFails()
		for range 2 * unusableTries {
			if pause := b.pause(); pause != redisPause {
				t.Fatalf("the pause is %v", pause)
			}
		}
		b.RedisIsBack()
		if r, _, calls := b.follow(); calls != unusableTries || r.Polls != unusableTries {
			t.Errorf("%d calls and %d polls after Redis was back", calls, r.Polls)
		}
	})
}

// An outcome and a pause do not need Redis.
func TestPoll_GoesOnWithoutRedis(t *testing.T) {
	inBed(t, func(b *bed) {
		b.RedisFails()
		b.MarkSign.Says(sessiontest.Down)
		if pause := b.pause(); !isIn(pause, time.Second, 20) {
			t.Errorf("the pause is %v", pause)
		}
		b.MarkSign.Says(sessiontest.Identified)
		if o := b.poll(); o.Final == nil {
			t.Errorf("%+v", o)
		}
	})
}

func TestPoll_NotesEachNewCauseOfTroubleOnce(t *testing.T) {
	inBed(t, func(b *bed) {
		b.RedisFails()
		b.MarkSign.Says(sessiontest.Down)
		b.pause() // is not noted
		b.RedisIsBack()
		for _, c := range []struct {
			answer sessiontest.Answer
			want   string
		}{
			{sessiontest.Waiting, ""},
			{sessiontest.Down, "HTTP 503 without a JSON answer"},
			{sessiontest.Error(50001), "technical trouble"},
			{sessiontest.Error(40003), "invalid access token"},
			{sessiontest.Waiting, "invalid access token"},
		} {
			b.MarkSign.Says(c.answer)
			b.pause()
			if trouble := b.Record().Trouble; trouble != c.want {
				t.Errorf("noted %q, want %q", trouble, c.want)
			}
		}
		b.MarkSign.Says(sessiontest.Error(40003))
		b.Redis.HSet(b.Ctx, "identwatch:default:a", "trouble", "as before")
		b.pause()
		if trouble := b.Record().Trouble; trouble != "as before" {
			t.Errorf("%q is noted again", trouble)
		}
	})
}

// Nobody vouches for the task: MarkSign is not asked with the account's token.
func TestPoll_AsksNothingForATaskThatIsNotSigned(t *testing.T) {
	inBed(t, func(b *bed) {
		b.begin(queue.NewPayloadKey())
		if o := b.poll(); o != (Outcome{Unsigned: true}) || len(b.MarkSign.Calls()) != 0 {
			t.Errorf("%+v", o)
		}
	})
}

// While MarkSign rejects the account, its sessions wait without polls, and the
// account's circuit says for how long.
func TestPoll_StaysAwayFromARejectedAccount(t *testing.T) {
	inBed(t, func(b *bed) {
		b.MarkSign.Says(sessiontest.Error(40003))
		for range 3 {
			b.pause()
		}
		b.MarkSign.Calls()
		for range 20 {
			if pause := b.pause(); pause < 5*time.Second || pause > 10*time.Second {
				t.Fatalf("the pause is %v", pause)
			}
		}
		if n := len(b.MarkSign.Calls()); n != 0 {
			t.Errorf("%d polls of a rejected account", n)
		}
		if !b.state.Resume() {
			t.Error("the session does not go on when MarkSign accepts the account")
		}
		if n := b.Logged("MarkSign rejects a poll"); n != 1 {
			t.Errorf("the log says %d times that polls are rejected", n)
		}
	})
}

// A session waits for its account although its own polls were answered.
func TestPoll_StaysAwayBecauseOfOtherSessions(t *testing.T) {
	inBed(t, func(b *bed) {
		b.pause()
		own, other := b.state, *b.state
		b.MarkSign.Says(sessiontest.Error(40003))
		b.state = &other
		for range 3 {
			b.pause()
		}
		b.state = own
		if pause := b.pause(); pause < 5*time.Second || !b.state.Resume() {
			t.Errorf("the pause is %v", pause)
		}
	})
}

func TestPoll_AsksARejectedAccountAtTheDeadline(t *testing.T) {
	inBed(t, func(b *bed) {
		time.Sleep(sessiontest.SessionTimeout - time.Second)
		b.MarkSign.Says(sessiontest.Error(40003))
		for range 3 {
			b.pause()
		}
		if pause := b.pause(); pause != time.Second {
			t.Errorf("the session waits %v, and its deadline is in a second", pause)
		}
		time.Sleep(time.Second)
		b.MarkSign.Says(sessiontest.Identified)
		if o := b.poll(); o.Final == nil || o.Final.Type != string(webhook.Completed) {
			t.Errorf("%+v", o)
		}
	})
}

// Our own stop uses up no call that tries whether MarkSign accepts the account again.
func TestPoll_GivesUnusedCallsOfARejectedAccountBack(t *testing.T) {
	inBed(t, func(b *bed) {
		b.MarkSign.Says(sessiontest.Error(40003))
		for range 3 {
			b.pause()
		}
		time.Sleep(6 * time.Second)
		stopped, stop := context.WithCancel(b.Ctx)
		stop()
		b.MarkSign.Calls()
		b.Poll(stopped, b.state)
		b.pause()
		if n := len(b.MarkSign.Calls()); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

// The log says what an operator has to know, and not once for each poll.
func TestPoll_LogsTroubleOnce(t *testing.T) {
	for text, answer := range map[string]sessiontest.Answer{
		"a status that is not known": {Body: `{"status":"on_hold"}`},
		"gives no usable answer":     sessiontest.Down,
	} {
		t.Run(text, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.MarkSign.Says(answer)
				for range 5 {
					b.pause()
				}
				if n := b.Logged(text); n != 1 {
					t.Errorf("logged %d times:\n%s", n, b.Logs())
				}
			})
		})
	}
}

func TestResume_IsForSessionsOfARejectedAccount(t *testing.T) {
	for name, c := range map[string]struct {
		answer sessiontest.Answer
		want   bool
	}{
		"waiting": {sessiontest.Waiting, false}, "not found": {sessiontest.Error(40402), false}, "down": {sessiontest.Down, false},
		"token rejected": {sessiontest.Error(40003), true}, "misconfigured": {sessiontest.Error(50004), true},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.MarkSign.Says(c.answer)
				b.pause()
				b.pause()
				if got := b.state.Resume(); got != c.want {
					t.Errorf("it resumes: %v", got)
				}
				b.MarkSign.Says(sessiontest.Error(50004))
				if pause := b.pause(); c.want && !isIn(pause, time.Second, 20) {
					t.Errorf("its backoff goes on: %v", pause)
				}
			})
		})
	}
}

// What our own stop cut off says nothing of MarkSign.
func TestPoll_IsCutOffByOurOwnStop(t *testing.T) {
	inBed(t, func(b *bed) {
		b.MarkSign.Says(sessiontest.Answer{Body: sessiontest.Waiting.Body, Takes: 5 * time.Second})
		ctx, stop := context.WithTimeout(b.Ctx, time.Second)
		defer stop()
		o := b.Poll(ctx, b.state)
		if o.Final != nil || time.Until(o.Again) != 0 || b.state.troubled != marksign.Pending || b.Record().Trouble != "" {
			t.Errorf("%+v, and the session remembers trouble", o)
		}
		if o := b.Poll(ctx, b.state); o.Final != nil || time.Until(o.Again) != 0 {
			t.Errorf("%+v", o)
		}
		b.MarkSign.Says(sessiontest.Down)
		if pause := b.pause(); !isIn(pause, time.Second, 20) {
			t.Errorf("the next pause is %v", pause)
		}
	})
}

func TestAwaitRate_SpreadsCallsOut(t *testing.T) {
	inBed(t, func(b *bed) {
		opts := b.opts
		opts.Rate = 4
		slow, begun := New(opts), time.Now()
		for range 9 {
			if err := slow.AwaitRate(b.Ctx); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("9 calls at 4 a second took %v", took)
		}
		if waited := testutil.ToFloat64(opts.Metrics.RateWait); waited != 2 {
			t.Errorf("%v s of waiting are counted", waited)
		}
		ctx, stop := context.WithCancel(b.Ctx)
		stop()
		if err := slow.AwaitRate(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped: %v", err)
		}
		fast, begun := New(b.opts), time.Now()
		for range 1000 {
			if err := fast.AwaitRate(b.Ctx); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("without a rate, 1000 calls took %v", took)
		}
	})
}

func TestPoll_WaitsForTheRate(t *testing.T) {
	inBed(t, func(b *bed) {
		opts := b.opts
		opts.Rate = 0.5
		b.Poller = New(opts)
		begun := time.Now()
		b.pause()
		b.pause()
		if calls := b.MarkSign.Calls(); len(calls) != 2 || calls[1].At.Sub(begun) != 2*time.Second {
			t.Errorf("at one call in 2 s: %v", calls)
		}
	})
}

func TestDefect_EndsTheSessionAsFailed(t *testing.T) {
	inBed(t, func(b *bed) {
		o := b.Defect(b.state)
		if o.Final == nil || o.Final.Type != string(webhook.Failed) || o.Final.Reason != webhook.ReasonInternal {
			t.Errorf("%+v", o)
		}
	})
}
