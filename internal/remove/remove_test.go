package remove

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/fair"
	"github.com/identwatch/identwatch/internal/insist"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/sessiontest"
	"github.com/identwatch/identwatch/internal/settle"
	"github.com/identwatch/identwatch/webhook"
)

// bed is a Remover and the account of its session.
type bed struct {
	*sessiontest.Bed
	*Remover
	account *account.Account
	stop    func() // ends the process's work
}

const timeout = 5 * time.Second

func inBed(t *testing.T, test func(b *bed)) {
	t.Helper()
	sessiontest.In(t, func(s *sessiontest.Bed) {
		counters := func(labels ...string) *prometheus.CounterVec {
			return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "n"}, labels)
		}
		working, stop := context.WithCancel(s.Ctx)
		defer stop()
		s.MarkSign.Says(sessiontest.Gone)
		test(&bed{s, New(Options{
			Records: s.Records, Tasks: s.Tasks, Notes: insist.NewNotes(working, s.Log), Slots: fair.New(4, 2), Timeout: timeout,
			Settler:  settle.New(settle.Options{Records: s.Records, Tasks: s.Tasks, RecordsLost: counters("account"), Log: s.Log}),
			Removals: counters("account", "result"), Log: s.Log,
		}), s.Account(), stop})
	})
}

// due has the session's story be so far that it may be removed.
func (b *bed) due(state outcome.State) {
	b.T.Helper()
	b.Tell(state)
	time.Sleep(outcome.RemovalDelay)
}

func (b *bed) attempt() Outcome { return b.Attempt(b.Ctx, b.account, sessiontest.Job()) }

func (b *bed) count(result string) float64 {
	return testutil.ToFloat64(b.opts.Removals.WithLabelValues("default", result))
}

func TestAttempt_SendsTheDELETEOnceAndNotesTheAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		answer   sessiontest.Answer
		want     Verdict
		removal  outcome.Removal
		refusals int
		detail   string
	}{
		"removed":             {sessiontest.Gone, Removed, outcome.Removed, 0, ""},
		"refused":             {sessiontest.NoRemoval, Retry, outcome.RemovalHanded, 1, "removal refused"},
		"not found":           {sessiontest.Error(40402), Retry, outcome.RemovalHanded, 1, "no session for this token"},
		"technical trouble":   {sessiontest.Error(50001), Retry, outcome.RemovalHanded, 0, "technical trouble"},
		"misconfigured":       {sessiontest.Error(50004), Retry, outcome.RemovalHanded, 0, "client configuration incorrect"},
		"down":                {sessiontest.Down, Retry, outcome.RemovalHanded, 0, "HTTP 503 without a JSON answer"},
		"cut off":             {sessiontest.CutOK, Retry, outcome.RemovalHanded, 0, "answer cut short"},
		"no answer in time":   {sessiontest.Answer{Body: sessiontest.Gone.Body, Takes: time.Hour}, Retry, outcome.RemovalHanded, 0, "timed out"},
		"an unknown status":   {sessiontest.Waiting, Retry, outcome.RemovalHanded, 0, "unknown status"},
		"token rejected":      {sessiontest.Error(40003), Rejected, outcome.NotRemoved, 0, ""},
		"token rejected, 401": {sessiontest.Answer{Status: http.StatusUnauthorized}, Rejected, outcome.NotRemoved, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.due(outcome.Delivered)
				b.MarkSign.Says(c.answer)
				begun := time.Now()
				o := b.attempt()
				if o.Verdict != c.want || time.Since(begun) > timeout || o.Detail != c.detail {
					t.Errorf("verdict %d, %q, after %v; want %d, %q", o.Verdict, o.Detail, time.Since(begun), c.want, c.detail)
				}
				if o.Verdict == Retry && (o.After < 6*time.Second || o.After > 6500*time.Millisecond) {
					t.Errorf("the first pause is %v", o.After)
				}
				calls := b.MarkSign.Calls()
				if len(calls) != 1 || calls[0].Method != http.MethodDelete {
					t.Errorf("calls: %v", calls)
				}
				r := b.Record()
				if tried := c.want != Rejected; r.Removal != c.removal || r.Refusals != c.refusals || (r.Removals == 1) != tried || o.Verdict == Removed && o.Record.Removal != outcome.Removed {
					t.Errorf("noted: %q, %d removals, %d refusals", r.Removal, r.Removals, r.Refusals)
				}
				if b.count("removed")+b.count(ResultFailed) != 1 || (b.count("removed") == 1) != (c.want == Removed) {
					t.Errorf("%v removed and %v failed are counted", b.count("removed"), b.count(ResultFailed))
				}
				if b.Logged("MARKED") != 0 {
					t.Errorf("the log shows what MarkSign said:\n%s", b.Logs())
				}
			})
		})
	}
}

func TestAttempt_WaitsForRetryAfter(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		b.MarkSign.Says(sessiontest.Answer{Status: http.StatusServiceUnavailable, RetryAfter: "60"})
		if o := b.attempt(); o.Verdict != Retry || o.After < 61*time.Second || o.After > 67*time.Second {
			t.Errorf("verdict %d, the pause is %v", o.Verdict, o.After)
		}
	})
}

// The DELETE goes out only after a 2xx, after delivery was given up, or after the
// application cancelled, and not at once.
func TestAttempt_SendsNothingThatTheRecordDoesNotAllow(t *testing.T) {
	for state, allowed := range map[outcome.State]bool{
		outcome.None: false, outcome.Following: false, outcome.Sealed: false, outcome.Handed: false,
		outcome.Delivered: true, outcome.GivenUp: true, outcome.Redelivering: true, outcome.Cancelled: true,
	} {
		t.Run(string(state), func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.Tell(state)
				time.Sleep(outcome.RemovalDelay - time.Millisecond)
				if o := b.attempt(); o.Verdict != Forbidden || o.Record.State != state || len(b.MarkSign.Calls()) != 0 {
					t.Errorf("too early: verdict %d, record %q", o.Verdict, o.Record.State)
				}
				time.Sleep(time.Millisecond)
				o := b.attempt()
				if sent := len(b.MarkSign.Calls()) == 1; sent != allowed || (o.Verdict == Removed) != allowed {
					t.Errorf("in time: verdict %d, record %q, sent: %v", o.Verdict, o.Record.State, sent)
				}
				if o := b.attempt(); o.Verdict != Forbidden || len(b.MarkSign.Calls()) != 0 {
					t.Errorf("once more: verdict %d", o.Verdict)
				}
			})
		})
	}
}

// A session whose ok nobody could read stays at MarkSign for an operator.
func TestAttempt_KeepsASessionThatAnOperatorLooksAt(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		b.Redis.HSet(b.Ctx, "identwatch:default:a", "reason", webhook.ReasonUnusableAnswer)
		if o := b.attempt(); o.Verdict != Forbidden || !o.Record.IsKept() || len(b.MarkSign.Calls()) != 0 {
			t.Errorf("verdict %d, kept until %v", o.Verdict, o.Record.Kept)
		}
		time.Sleep(sessiontest.RedeliveryWindow)
		if o := b.attempt(); o.Verdict != Removed {
			t.Errorf("after the window: verdict %d", o.Verdict)
		}
	})
}

// MarkSign's error body may mean that the session is gone already.
func TestAttempt_GivesUpAfterFourRefusals(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		for i := range maxRefusals {
			b.MarkSign.Says(sessiontest.Down)
			if o := b.attempt(); o.Verdict != Retry { // is no refusal
				t.Fatalf("down: verdict %d", o.Verdict)
			}
			b.MarkSign.Says(sessiontest.NoRemoval)
			want := Retry
			if i == maxRefusals-1 {
				want = GivenUp
			}
			if o := b.attempt(); o.Verdict != want || want == GivenUp && o.Record.Removal != outcome.RemovedUnknown {
				t.Errorf("refusal %d: verdict %d, %q", i+1, o.Verdict, o.Record.Removal)
			}
		}
		if r := b.Record(); r.Removal != outcome.RemovedUnknown || b.count("unknown") != 1 || b.Logged("level=ERROR") != 1 {
			t.Errorf("noted %q, counted %v; the log:\n%s", r.Removal, b.count("unknown"), b.Logs())
		}
	})
}

// MarkSign knew no such session, so nobody has to look at it.
func TestAttempt_GivesUpQuietlyWhatMarkSignNeverKnew(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		b.Redis.HSet(b.Ctx, "identwatch:default:a", "reason", webhook.ReasonNotFound, "refusals", maxRefusals-1)
		b.MarkSign.Says(sessiontest.NoRemoval)
		if o := b.attempt(); o.Verdict != GivenUp || b.Logged("level=ERROR") != 0 || b.Logged("tried no more") != 1 {
			t.Errorf("verdict %d; the log:\n%s", o.Verdict, b.Logs())
		}
	})
}

// A DELETE is tried for 24 hours, the last time at their end, and a rejected
// account uses up none of the tries.
func TestAttempt_IsRepeatedForADay(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		b.MarkSign.Says(sessiontest.Down)
		begun := time.Now()
		tries := 0
		o := b.attempt()
		for ; o.Verdict == Retry && tries < 100; o = b.attempt() {
			tries++
			time.Sleep(o.After.Truncate(time.Second)) // as asynq does
		}
		if took := time.Since(begun); o.Verdict != GivenUp || took < window-time.Second || took > window+2*time.Second || tries < 10 || tries > 12 {
			t.Errorf("verdict %d after %v and %d tries", o.Verdict, took, tries)
		}
	})
}

func TestAttempt_LeavesARejectedAccountAlone(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		b.MarkSign.Says(sessiontest.Error(40003))
		for range 10 {
			if o := b.attempt(); o.Verdict != Rejected {
				t.Errorf("verdict %d", o.Verdict)
			}
		}
		if n := len(b.MarkSign.Calls()); n != 3 {
			t.Errorf("%d calls", n)
		}
		if r := b.Record(); r.Removals != 0 || r.Removal != outcome.NotRemoved || r.LastError != "" {
			t.Errorf("noted: %d removals, %q, %q", r.Removals, r.Removal, r.LastError)
		}
		time.Sleep(10 * time.Second)
		b.RedisFails()
		b.attempt() // is no call, and keeps no other from trying
		b.RedisIsBack()
		b.MarkSign.Says(sessiontest.Gone)
		if o := b.attempt(); o.Verdict != Removed {
			t.Errorf("verdict %d after MarkSign accepts the account again", o.Verdict)
		}
	})
}

// Without the note in sight nothing is sent.
func TestAttempt_SendsNothingWithoutRedis(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		b.RedisFails()
		if o := b.attempt(); o.Verdict != Trouble || len(b.MarkSign.Calls()) != 0 {
			t.Errorf("verdict %d", o.Verdict)
		}
	})
}

// What MarkSign answered is noted, however long Redis takes.
func TestAttempt_InsistsOnItsNotes(t *testing.T) {
	for name, c := range map[string]struct {
		answer sessiontest.Answer
		want   Verdict
	}{"removed": {sessiontest.Gone, Removed}, "down": {sessiontest.Down, Retry}} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.due(outcome.Delivered)
				c.answer.Takes = 2 * time.Second
				b.MarkSign.Says(c.answer)
				time.AfterFunc(time.Second, b.RedisFails)
				time.AfterFunc(time.Minute, b.RedisIsBack)
				run, end := context.WithTimeout(b.Ctx, 30*time.Second) // the run ends, and the process goes on
				defer end()
				begun := time.Now()
				if o := b.Attempt(run, b.account, sessiontest.Job()); o.Verdict != c.want || time.Since(begun) < time.Minute {
					t.Errorf("verdict %d after %v", o.Verdict, time.Since(begun))
				}
				if r := b.Record(); r.Removals != 1 {
					t.Errorf("%d removals are noted", r.Removals)
				}
			})
		})
	}
}

func TestAttempt_EndsWithTheProcess(t *testing.T) {
	for name, answer := range map[string]sessiontest.Answer{"removed": sessiontest.Gone, "down": sessiontest.Down} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.due(outcome.Delivered)
				answer.Takes = 2 * time.Second
				b.MarkSign.Says(answer)
				time.AfterFunc(time.Second, b.RedisFails)
				time.AfterFunc(time.Minute, b.stop)
				if o := b.attempt(); o.Verdict != Trouble {
					t.Errorf("verdict %d", o.Verdict)
				}
				b.RedisIsBack()
			})
		})
	}
}

// While the DELETE was under way, somebody else removed the session, or Redis lost
// the note that allowed it.
func TestAttempt_FindsThatTheRecordChanged(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		b.MarkSign.Says(sessiontest.Answer{Status: 503, Takes: 2 * time.Second})
		time.AfterFunc(time.Second, func() { b.Redis.HSet(b.Ctx, "identwatch:default:a", "state", string(outcome.Handed)) })
		if o := b.attempt(); o.Verdict != Forbidden || o.Record.State != outcome.Handed {
			t.Errorf("verdict %d, record %q", o.Verdict, o.Record.State)
		}
	})
}

// No DELETE takes longer than the timeout, and that is ten seconds at most.
func TestNew_BoundsTheTimeout(t *testing.T) {
	inBed(t, func(b *bed) {
		b.due(outcome.Delivered)
		opts := b.opts
		opts.Timeout = time.Hour
		b.Remover = New(opts)
		b.MarkSign.Says(sessiontest.Answer{Takes: 24 * time.Hour})
		begun := time.Now()
		if o := b.attempt(); o.Verdict != Retry || time.Since(begun) > maxTimeout {
			t.Errorf("verdict %d after %v", o.Verdict, time.Since(begun))
		}
	})
}

// replicate has the embedded Redis say that it has replicas, and how many have a note.
func (b *bed) replicate(has string, noted int, asked *int) {
	b.Redis.Ping(b.Ctx)
	b.Mini.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
		switch cmd {
		case "INFO":
			*asked++
			c.WriteBulk("connected_slaves:" + has + "\r\n")
		case "WAIT":
			c.WriteInt(noted)
		default:
			return false
		}
		return true
	})
}

// If Redis has replicas, a failover must not bring a session's event back after the
// session was removed.
func TestAttempt_WaitsForAReplica(t *testing.T) {
	for name, c := range map[string]struct {
		has   string
		noted int
		want  Verdict
	}{"none there": {"0", 0, Removed}, "one has the note": {"2", 1, Removed}, "none has the note": {"2", 0, NotReplicated}} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.due(outcome.Delivered)
				b.replicate(c.has, c.noted, new(int))
				if o := b.attempt(); o.Verdict != c.want || (len(b.MarkSign.Calls()) == 1) != (c.want == Removed) {
					t.Errorf("verdict %d", o.Verdict)
				}
			})
		})
	}
}

// Whether there are replicas is asked once a second at most, and not forgotten for good.
func TestReplicas_AreAskedForOnceASecond(t *testing.T) {
	inBed(t, func(b *bed) {
		asked := 0
		b.replicate("1", 1, &asked)
		for _, c := range []struct {
			pass time.Duration
			want int
		}{{0, 1}, {0, 1}, {time.Second - time.Nanosecond, 1}, {time.Nanosecond, 2}, {time.Hour, 3}} {
			time.Sleep(c.pass)
			wait, err := b.replicas.waitFor(b.Ctx, b.Records, outcome.Of(sessiontest.Job()))
			if wait != replicaPatience || err != nil || asked != c.want {
				t.Errorf("asked %d times, want %d; waits %v, error %v", asked, c.want, wait, err)
			}
		}
		time.Sleep(time.Minute)
		b.RedisFails()
		if _, err := b.replicas.waitFor(b.Ctx, b.Records, outcome.Of(sessiontest.Job())); err == nil {
			t.Error("a Redis that does not say has no replicas")
		}
		b.RedisIsBack()
	})
}

func TestPause_RisesByTheSchedule(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		removals   int
		retryAfter time.Duration
		want       time.Duration // and up to a tenth more, and a second
	}{
		{0, 0, 5 * time.Second},
		{1, 0, 5 * time.Second},
		{2, 0, 30 * time.Second},
		{3, 0, 2 * time.Minute},
		{8, 0, 4 * time.Hour},
		{9, 0, longestPause},
		{1000, 0, longestPause},
		{1, 40 * time.Second, 40 * time.Second},
		{2, 10 * time.Second, 30 * time.Second},
		{1, 100 * time.Hour, maxRetryAfter},
		{9, time.Hour, longestPause},
	} {
		least, most := 100*time.Hour, time.Duration(0)
		for range 2000 {
			after := pause(c.removals, c.retryAfter)
			least, most = min(least, after), max(most, after)
		}
		if least < c.want+time.Second || most > c.want+c.want/10+time.Second || most-least < c.want/20 || most > LongestPause {
			t.Errorf("after %d removals and Retry-After %v: between %v and %v", c.removals, c.retryAfter, least, most)
		}
	}
}
