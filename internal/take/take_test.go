package take

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/sessiontest"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// bed is a Taker and the account of its session.
type bed struct {
	*sessiontest.Bed
	*Taker
	account *account.Account
}

func inBed(t *testing.T, test func(b *bed)) {
	t.Helper()
	sessiontest.In(t, func(s *sessiontest.Bed) {
		queues := func(name string) lease.Queues { return lease.NewQueues(s.Redis, session.Shards{}, name) }
		counters := func() *prometheus.CounterVec {
			return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "n"}, []string{"account"})
		}
		test(&bed{s, New(Options{
			Records: s.Records, Holder: sessiontest.Holder, TakenOver: counters(), Refused: counters(), Tasks: queues(queue.Follow),
			Further: []lease.Queues{queues(queue.Deliver), queues(queue.Remove)},
			Unknown: prometheus.NewCounter(prometheus.CounterOpts{Name: "n"}), Log: s.Log,
		}), s.Account()})
	})
}

var states = []outcome.State{
	outcome.None, outcome.Following, outcome.Sealed, outcome.Handed, outcome.Delivered, outcome.GivenUp, outcome.Redelivering, outcome.Cancelled,
}

// asks fails the test unless a handler asks for a pause.
func asks(t *testing.T, err error, want error) {
	t.Helper()
	var got, wanted *taskserver.Pause
	if !errors.As(want, &wanted) {
		t.Fatalf("%v is no pause", want)
	}
	if !errors.As(err, &got) || *got != *wanted {
		t.Errorf("the handler returns %+v, want %+v", err, want)
	}
}

func TestTake_MakesThisProcessTheHolder(t *testing.T) {
	for _, state := range states {
		t.Run(string(state), func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.Tell(state)
				want, holder := state, sessiontest.Holder
				switch state {
				case outcome.None:
					want = outcome.Following
				case outcome.Cancelled: // nobody holds it
					holder = ""
				}
				r, err := b.Take(b.Ctx, sessiontest.Job(), false)
				if err != nil || r.State != want || r.Holder != holder {
					t.Errorf("%q, held by %q, error %v", r.State, r.Holder, err)
				}
				if r := b.Record(); r.State != want || r.Holder != holder {
					t.Errorf("the record says %q, held by %q", r.State, r.Holder)
				}
			})
		})
	}
}

// A full process leaves the session to whoever has it.
func TestTake_OnlyLooksIfTheProcessIsFull(t *testing.T) {
	for _, state := range states {
		t.Run(string(state), func(t *testing.T) {
			inBed(t, func(b *bed) {
				before := b.Tell(state)
				r, err := b.Take(b.Ctx, sessiontest.Job(), true)
				if err != nil || r.State != state || r.Holder != before.Holder {
					t.Errorf("%q, held by %q, error %v", r.State, r.Holder, err)
				}
				if r := b.Record(); r.State != state || r.Holder != before.Holder {
					t.Errorf("the record says %q, held by %q", r.State, r.Holder)
				}
			})
		})
	}
}

// A later task proves that the session had its outcome: without its record it is not
// followed again, because another outcome could come of it.
func TestTake_BeginsNoRecordOfASessionThatWentFurther(t *testing.T) {
	later := map[string]func(b *bed) error{
		"delivery":              func(b *bed) error { return b.Tasks.EnsureDelivery(b.Ctx, sessiontest.Job(), 0) },
		"removal":               func(b *bed) error { return b.Tasks.EnsureRemoval(b.Ctx, sessiontest.Job(), time.Hour) },
		"ended task of its own": (*bed).endFollowTask,
		"archived delivery": func(b *bed) error {
			return errors.Join(b.Tasks.EnsureDelivery(b.Ctx, sessiontest.Job(), 0), b.Inspector.ArchiveTask(queue.Deliver, sessiontest.Job().ID()))
		},
	}
	for name, exists := range later {
		for _, state := range []outcome.State{outcome.None, outcome.Following, outcome.Handed} {
			t.Run(name+" "+string(state), func(t *testing.T) {
				inBed(t, func(b *bed) {
					b.Tell(state)
					if err := exists(b); err != nil {
						t.Fatal(err)
					}
					if further, err := b.WentFurther(b.Ctx, sessiontest.Job()); !further || err != nil {
						t.Errorf("it went further: %v, %v", further, err)
					}
					r, err := b.Take(b.Ctx, sessiontest.Job(), false)
					if err != nil || r.State != state || b.Record().State != state || state != outcome.None && r.Holder != sessiontest.Holder {
						t.Errorf("%q, held by %q, error %v", r.State, r.Holder, err)
					}
				})
			})
		}
	}
}

// endFollowTask runs the session's follow task to its end.
func (b *bed) endFollowTask() error {
	task, err := queue.NewFollowTask(sessiontest.Job())
	if err != nil {
		return err
	}
	_, err = b.RunTask(queue.Follow, task, func(_ context.Context, t *asynq.Task) error {
		_, err := t.ResultWriter().Write([]byte("{}"))
		return err
	})
	return err
}

// The record of a session that ended has expired, and somebody runs its task again.
func TestVouch_HasATaskThatEndedDecideNothing(t *testing.T) {
	inBed(t, func(b *bed) {
		if err := b.endFollowTask(); err != nil {
			t.Fatal(err)
		}
		a := b.Account(queue.NewPayloadKey())
		refused := testutil.ToFloat64(b.opts.Refused.WithLabelValues("default"))
		if err := b.Vouch(b.Ctx, a, sessiontest.Job()); err != nil || refused != 0 {
			t.Errorf("%v, %v are refused", err, refused)
		}
	})
}

// What says that a session goes on is its later task, and not that of another.
func TestWentFurther_IsAboutOneSession(t *testing.T) {
	inBed(t, func(b *bed) {
		other := sessiontest.Job()
		other.Token = "b"
		if err := errors.Join(b.Tasks.EnsureDelivery(b.Ctx, other, 0), b.Tasks.EnsureFollow(b.Ctx, sessiontest.Job())); err != nil {
			t.Fatal(err)
		}
		if further, err := b.WentFurther(b.Ctx, sessiontest.Job()); further || err != nil {
			t.Errorf("it went further: %v, %v", further, err)
		}
	})
}

func TestTaker_WaitsForRedis(t *testing.T) {
	for name, call := range map[string]func(b *bed) error{
		"taking":  func(b *bed) error { _, err := b.Take(b.Ctx, sessiontest.Job(), false); return err },
		"looking": func(b *bed) error { _, err := b.Take(b.Ctx, sessiontest.Job(), true); return err },
		"vouching": func(b *bed) error {
			return b.Vouch(b.Ctx, b.Account(queue.NewPayloadKey()), sessiontest.Job())
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBed(t, func(b *bed) {
				b.RedisFails()
				asks(t, call(b), taskserver.NoRedis())
				b.RedisIsBack()
				if r := b.Record(); r.State != outcome.None {
					t.Errorf("a record begins: %q", r.State)
				}
			})
		})
	}
}

// A task that nobody signed begins nothing, and one that decides nothing any more
// goes on.
func TestVouch_RefusesAnUnsignedTaskBeforeItsOutcome(t *testing.T) {
	key, other := queue.NewPayloadKey(), queue.NewPayloadKey()
	for _, state := range states {
		for name, c := range map[string]struct {
			keys     []queue.PayloadKey
			job      session.Job
			believed bool
		}{
			"no keys":          {nil, sessiontest.Job(), true},
			"signed":           {[]queue.PayloadKey{other, key}, queue.Sign(sessiontest.Job(), key), true},
			"not signed":       {[]queue.PayloadKey{key}, sessiontest.Job(), false},
			"another's":        {[]queue.PayloadKey{key}, queue.Sign(sessiontest.Job(), other), false},
			"changed since":    {[]queue.PayloadKey{key}, changed(queue.Sign(sessiontest.Job(), key)), false},
			"with keys of old": {[]queue.PayloadKey{key, other}, queue.Sign(sessiontest.Job(), other), true},
		} {
			t.Run(string(state)+" "+name, func(t *testing.T) {
				inBed(t, func(b *bed) {
					b.Tell(state)
					a := b.Account(c.keys...)
					err := b.Vouch(b.Ctx, a, c.job)
					refused := testutil.ToFloat64(b.opts.Refused.WithLabelValues("default"))
					if c.believed || state != outcome.None && state != outcome.Following {
						if err != nil || refused != 0 {
							t.Errorf("%v, %v are refused", err, refused)
						}
						return
					}
					asks(t, err, taskserver.Unsigned())
					if refused != 1 || b.Logged("not signed with a key") != 1 {
						t.Errorf("%v are refused; the log:\n%s", refused, b.Logs())
					}
				})
			})
		}
	}
}

func changed(job session.Job) session.Job {
	job.CallbackURL = "https://thief.example/"
	return job
}

// A session whose account nobody here knows waits, for as long as that takes.
func TestLeave_KeepsTheSessionForAWorkerThatKnowsItsAccount(t *testing.T) {
	inBed(t, func(b *bed) {
		b.Tell(outcome.Handed)
		b.Redis.PExpire(b.Ctx, "identwatch:default:a", time.Minute)
		b.Redis.PExpire(b.Ctx, "identwatch:default:a:sealed", time.Minute)
		for range 3 {
			asks(t, b.Leave(b.Ctx, sessiontest.Job()), taskserver.NoAccount())
		}
		if sealed := b.Redis.PTTL(b.Ctx, "identwatch:default:a:sealed").Val(); b.Kept() <= sealed || sealed < sessiontest.DeliveryWindow {
			t.Errorf("the record is kept for %v, the result for %v", b.Kept(), sealed)
		}
		if n := testutil.ToFloat64(b.opts.Unknown); n != 3 {
			t.Errorf("%v runs are counted", n)
		}
		const line = "sessions wait for an account"
		if n := b.Logged(line); n != 1 {
			t.Errorf("logged %d times", n)
		}
		time.Sleep(time.Minute)
		b.RedisFails()
		asks(t, b.Leave(b.Ctx, sessiontest.Job()), taskserver.NoAccount())
		if n := b.Logged(line); n != 2 {
			t.Errorf("logged %d times after a minute", n)
		}
	})
}

func TestLeave_BeginsNoRecord(t *testing.T) {
	inBed(t, func(b *bed) {
		asks(t, b.Leave(b.Ctx, sessiontest.Job()), taskserver.NoAccount())
		if r := b.Record(); r.State != outcome.None {
			t.Errorf("a record begins: %q", r.State)
		}
	})
}

// A session that a worker has just begun was taken over from nobody.
func TestTaker_TellsATakeoverFromABeginning(t *testing.T) {
	for age, over := range map[time.Duration]bool{0: false, time.Second - time.Millisecond: false, time.Second: true, time.Hour: true, -time.Hour: false} {
		t.Run(age.String(), func(t *testing.T) {
			inBed(t, func(b *bed) {
				now := time.Now()
				r := outcome.Record{Now: now, Started: now.Add(-age)}
				b.Count(b.account, r)
				if n := testutil.ToFloat64(b.opts.TakenOver.WithLabelValues("default")); (n == 1) != over {
					t.Errorf("%v are counted", n)
				}
				var most time.Duration
				for range 1000 {
					spread := Spread(r)
					if spread < 0 || spread >= 300*time.Millisecond {
						t.Fatalf("the first poll waits %v", spread)
					}
					most = max(most, spread)
				}
				if over != (most > 200*time.Millisecond) || !over && most != 0 {
					t.Errorf("the first polls wait up to %v", most)
				}
			})
		})
	}
}

func TestLogTakeovers_LogsOnceASecondHowMany(t *testing.T) {
	inBed(t, func(b *bed) {
		ctx, stop := context.WithCancel(b.Ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			b.LogTakeovers(ctx)
		}()
		takeOver := func(n int) {
			now := time.Now()
			for range n {
				b.Count(b.account, outcome.Record{Now: now, Started: now.Add(-time.Minute)})
			}
		}
		takeOver(3)
		time.Sleep(5 * time.Second)
		takeOver(2)
		time.Sleep(time.Second)
		synctest.Wait()
		if all, first, second := b.Logged("took sessions over"), b.Logged("sessions=3"), b.Logged("sessions=2"); all != 2 || first != 1 || second != 1 {
			t.Errorf("the log:\n%s", b.Logs())
		}
		stop()
		<-ended
	})
}
