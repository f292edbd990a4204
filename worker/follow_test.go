package worker

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

func TestFollow_PostsTheResultOnceThenRemovesTheSession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(8*time.Second))
		result := w.awaitEnd("a", time.Minute)
		p := w.checkOneStory("a")
		if p.event.Type != webhook.Completed || p.event.Data.Person.Code != "30303039914" || p.event.Data.Reference != "order-a" ||
			p.event.Data.PEPs.Result != webhook.Clear || p.event.Data.Sanctions.Result != webhook.Clear || len(p.event.Data.Certificate) == 0 {
			t.Errorf("the event: %s", p.body)
		}
		seen := w.seen("a")
		if seen.Removes != 1 || seen.FinalPolls != 1 || p.begun.Sub(seen.FinalSeenAt) > time.Millisecond {
			t.Errorf("removed %d times, final answer polled %d times, posted %v after it", seen.Removes, seen.FinalPolls, p.begun.Sub(seen.FinalSeenAt))
		}
		if result.Outcome != "identification.completed" || result.Delivery != outcome.Delivered || result.Removal != outcome.Removed ||
			result.Polls != seen.Polls || result.Attempts != 1 || result.Removals != 1 || result.RemovedAt.IsZero() {
			t.Errorf("the task's result: %+v", result)
		}
		w.checkNothingPersonal()
	})
}

func TestFollow_TellsEveryOutcomeOfMarkSign(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		rows := []struct {
			outcome marksim.Outcome
			typ     webhook.Type
			code    int
			reason  string
		}{
			{marksim.Refuses, webhook.Refused, 40020, "refused"},
			{marksim.WrongCode, webhook.Refused, 40020, "refused"},
			{marksim.Canceled, webhook.Refused, 0, "canceled"},
			{marksim.Expires, webhook.Expired, 40021, "session_expired"},
			{marksim.NeverAnswers, webhook.Expired, 40021, "session_expired"},
			{marksim.UnknownAccount, webhook.Failed, 40401, "no_account"},
			{marksim.NotQualified, webhook.Failed, 40403, "not_qualified"},
			{marksim.DocumentCorrupted, webhook.Failed, 40022, "document_corrupted"},
			{marksim.CertificateTimeout, webhook.Failed, 40801, "certificate_timeout"},
		}
		for _, row := range rows {
			p := confirming(4 * time.Second)
			p.Outcome = row.outcome
			w.session(string(row.outcome), p)
		}
		for _, row := range rows {
			w.awaitEnd(string(row.outcome), 5*time.Minute)
			p := w.checkOneStory(string(row.outcome))
			data := p.event.Data
			if p.event.Type != row.typ || data.Error == nil || data.Error.Code != row.code || data.Error.Reason != row.reason {
				t.Errorf("%s: the event: %s", row.outcome, p.body)
			}
			if data.Person != nil || data.PEPs != nil || data.Sanctions != nil || string(data.Certificate) != "" && string(data.Certificate) != "null" {
				t.Errorf("%s: the event holds a person: %s", row.outcome, p.body)
			}
			if seen := w.seen(string(row.outcome)); seen.Removes != 1 {
				t.Errorf("%s: removed %d times", row.outcome, seen.Removes)
			}
		}
		if polls := w.seen(string(marksim.CertificateTimeout)).FinalPolls; polls != certificateTries+1 {
			t.Errorf("a certificate that took too long was asked for %d times", polls)
		}
	})
}

func TestFollow_ReportsHitsAndNeverClearsWhatWasNotAskedFor(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		hit := confirming(time.Second)
		hit.PEPs = []marksim.PEPRecord{{ID: 1, FullName: "MARKED PERSON"}}
		w.session("hit", hit)
		w.session("unasked", confirming(time.Second), func(s *tasks.Session) { s.Checks = nil })
		w.awaitEnd("hit", time.Minute)
		w.awaitEnd("unasked", time.Minute)
		asked, unasked := w.checkOneStory("hit").event.Data, w.checkOneStory("unasked").event.Data
		if asked.PEPs.Result != webhook.Hit || len(asked.PEPs.Records) != 1 || asked.Sanctions.Result != webhook.Clear {
			t.Errorf("asked for: %s, %s", asked.PEPs.Result, asked.Sanctions.Result)
		}
		if unasked.PEPs.Result != webhook.Unknown || unasked.Sanctions.Result != webhook.Unknown {
			t.Errorf("not asked for: %s, %s", unasked.PEPs.Result, unasked.Sanctions.Result)
		}
		w.checkNothingPersonal()
	})
}

func TestFollow_PollsAtThePace(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(100*time.Second))
		w.awaitEnd("a", 5*time.Minute)
		seen := w.seen("a")
		// 30 at 1 s, 15 at 2 s, 13 at 3 s, each ±10 %.
		if seen.Polls < 52 || seen.Polls > 66 || seen.MaxPollGap > 3400*time.Millisecond {
			t.Errorf("%d polls, the longest pause %v", seen.Polls, seen.MaxPollGap)
		}
	})
}

func TestFollow_AStartOfTheApplicationSteersThePaceAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		begun := time.Now()
		time.Sleep(24 * time.Hour)
		w.start()
		w.session("a", confirming(40*time.Second), func(s *tasks.Session) { s.StartedAt = begun })
		w.awaitEnd("a", time.Minute)
		if seen := w.seen("a"); seen.Polls > 11 || w.checkOneStory("a").event.Type != webhook.Completed {
			t.Errorf("%d polls", seen.Polls)
		}
	})
}

func TestFollow_EndsAtTheDeadline(t *testing.T) {
	inWorld(t, func(w *world) {
		p := confirming(0)
		p.Outcome = marksim.Waits
		w.start(func(o *Options) { o.SessionTimeout = time.Minute })
		w.session("a", p)
		begun := time.Now()
		w.awaitEnd("a", 3*time.Minute)
		post := w.checkOneStory("a")
		if post.event.Type != webhook.Expired || post.event.Data.Error.Reason != "deadline" || post.event.Data.Error.Code != 0 {
			t.Errorf("the event: %s", post.body)
		}
		if took := post.begun.Sub(begun); took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("ended after %v", took)
		}
	})
}

func TestFollow_MarkSignDownUntilTheDeadlineIsUnavailable(t *testing.T) {
	for name, fault := range map[string]marksim.Faults{
		"outage":       {Calls: marksim.StatusCalls, Outage: true},
		"bad gateway":  {Calls: marksim.StatusCalls, BadGateway: 1},
		"HTML":         {Calls: marksim.StatusCalls, HTML: 1},
		"cut":          {Calls: marksim.StatusCalls, Cut: 1},
		"hanging":      {Calls: marksim.StatusCalls, Hang: 1},
		"access token": {Calls: marksim.StatusCalls, RejectToken: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start(func(o *Options) { o.SessionTimeout = 20 * time.Second })
				w.sim.SetFaults(fault)
				p := confirming(0)
				p.Outcome = marksim.Waits // an ok that is cut says more than nothing
				w.session("a", p)
				w.awaitEnd("a", 3*time.Minute)
				post := w.checkOneStory("a")
				if post.event.Type != webhook.Failed || post.event.Data.Error.Reason != "unavailable" {
					t.Errorf("the event: %s", post.body)
				}
				if polls := w.seen("a").Polls; polls < 2 || polls > 7 {
					t.Errorf("%d polls in 20 seconds of trouble", polls)
				}
			})
		})
	}
}

func TestFollow_MarkSignComesBack(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.sim.SetFaults(marksim.Faults{Outage: true})
		w.session("a", confirming(time.Second))
		time.Sleep(90 * time.Second)
		w.sim.SetFaults()
		back := time.Now()
		w.awaitEnd("a", 2*time.Minute)
		post := w.checkOneStory("a")
		if post.event.Type != webhook.Completed || post.begun.Sub(back) > 37*time.Second {
			t.Errorf("%s, %v after MarkSign came back", post.event.Type, post.begun.Sub(back))
		}
	})
}

func TestFollow_HonoursRetryAfter(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.sim.SetFaults(marksim.Faults{Calls: marksim.StatusCalls, TooMany: 1, RetryAfter: 20 * time.Second})
		w.session("a", confirming(time.Second))
		time.Sleep(19 * time.Second)
		if polls := w.seen("a").Polls; polls != 1 {
			t.Errorf("%d polls within Retry-After", polls)
		}
		w.sim.SetFaults()
		w.awaitEnd("a", time.Minute)
		w.checkOneStory("a")
	})
}

// A person waits, and a final result stays readable for minutes only.
func TestFollow_ALongRetryAfterSilencesNoSession(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.sim.SetFaults(marksim.Faults{Calls: marksim.StatusCalls, TooMany: 1, RetryAfter: time.Hour})
		w.session("a", confirming(time.Second))
		w.await("the first poll", 5*time.Second, func() bool { return w.seen("a").Polls == 1 })
		w.sim.SetFaults()
		w.await("the event", 31*time.Second, func() bool { return len(w.receiver.of("a")) == 1 })
		if post := w.receiver.of("a")[0]; post.event.Type != webhook.Completed {
			t.Errorf("the event: %s", post.body)
		}
	})
}

// A rate limit with a code of its own ends no session.
func TestFollow_AnUnknownCodeWithA429IsTemporary(t *testing.T) {
	inWorld(t, func(w *world) {
		limited := true
		w.markSign = roundTripper(func(req *http.Request) (*http.Response, error) {
			res, err := w.sim.RoundTrip(req)
			if limited && err == nil {
				limited = false
				res.StatusCode = http.StatusTooManyRequests
				res.Body = io.NopCloser(strings.NewReader(`{"status":"error","message":"slow down","error_code":42900}`))
			}
			return res, err
		})
		w.start()
		w.session("a", confirming(0))
		w.awaitEnd("a", time.Minute)
		if post := w.checkOneStory("a"); post.event.Type != webhook.Completed {
			t.Errorf("the event: %s", post.body)
		}
	})
}

func TestFollow_ASessionThatIsNotFoundIsFailedAfterItsGrace(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		begun := time.Now()
		w.enqueue("never-started")
		w.awaitEnd("never-started", time.Minute)
		p := w.checkOneStory("never-started")
		if p.event.Type != webhook.Failed || p.event.Data.Error.Reason != "not_found" || p.event.Data.Error.Code != 40402 {
			t.Errorf("the event: %s", p.body)
		}
		if took := p.begun.Sub(begun); took < 5*time.Second || took > 7*time.Second {
			t.Errorf("failed after %v", took)
		}
	})
}

func TestFollow_ANewSessionMayAppearWithinItsGrace(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.enqueue("late")
		time.Sleep(3 * time.Second)
		w.sim.Add("late", marksim.SmartID, confirming(5*time.Second))
		w.awaitEnd("late", time.Minute)
		if p := w.checkOneStory("late"); p.event.Type != webhook.Completed {
			t.Errorf("the event: %s", p.body)
		}
	})
}

func TestFollow_ASessionThatMarkSignForgetsIsFailedAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(time.Hour))
		time.Sleep(10 * time.Second)
		w.sim.Forget("a")
		w.awaitEnd("a", 5*time.Second)
		if p := w.checkOneStory("a"); p.event.Data.Error.Reason != "not_found" {
			t.Errorf("the event: %s", p.body)
		}
	})
}

func TestFollow_KeepsToThePollRate(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.PollRate = 10 })
		for i := range 100 {
			w.session(fmt.Sprint("a", i), confirming(time.Hour))
		}
		time.Sleep(60 * time.Second)
		polls := 0
		for i := range 100 {
			polls += w.seen(fmt.Sprint("a", i)).Polls
		}
		if polls < 560 || polls > 610 {
			t.Errorf("%d polls in a minute at 10 a second", polls)
		}
	})
}

func TestEnqueue_OfAKnownSessionIsADuplicate(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		s := w.session("a", confirming(5*time.Second))
		if err := w.client.Enqueue(w.ctx, s); !errors.Is(err, tasks.ErrDuplicate) {
			t.Errorf("while it is followed: %v", err)
		}
		w.awaitEnd("a", time.Minute)
		p.stop()
		time.Sleep(23 * time.Hour)
		if err := w.client.Enqueue(w.ctx, s); !errors.Is(err, tasks.ErrDuplicate) {
			t.Errorf("within the retention: %v", err)
		}
		w.checkOneStory("a")
	})
}

func TestEnqueue_AfterTheRetentionTellsNoSecondStory(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		s := w.session("a", confirming(time.Second))
		w.awaitEnd("a", time.Minute)
		p.stop()
		time.Sleep(24*time.Hour + time.Minute)
		w.mini.FastForward(24*time.Hour + time.Minute)
		w.start()
		time.Sleep(10 * time.Second) // asynq's janitor deletes the finished task
		if err := w.client.Enqueue(w.ctx, s); err != nil {
			t.Fatal(err)
		}
		w.awaitEnd("a", time.Minute)
		time.Sleep(time.Minute)
		w.checkOneStory("a")
	})
}

func TestEnqueue_MendsAnArchivedTask(t *testing.T) {
	inWorld(t, func(w *world) {
		s := w.session("a", confirming(5*time.Second))
		if err := w.tasks.ArchiveTask(queue.Follow, s.ID()); err != nil {
			t.Fatal(err)
		}
		if err := w.client.Enqueue(w.ctx, s); err != nil {
			t.Fatalf("an archived task: %v", err)
		}
		w.start()
		w.awaitEnd("a", time.Minute)
		w.checkOneStory("a")
	})
}

func TestFollow_SaysWhatItWaitsFor(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		s := w.session("a", confirming(time.Hour))
		time.Sleep(5 * time.Second)
		info, err := w.tasks.GetTaskInfo(queue.Follow, s.ID())
		if err != nil || info.State != asynq.TaskStateRetry || !strings.HasPrefix(info.LastErr, "following: ") || info.Retried != 0 {
			t.Errorf("the task: %+v, error %v", info, err)
		}
		stats, err := w.tasks.GetQueueInfo(queue.Follow)
		if err != nil || stats.Failed != 0 {
			t.Errorf("asynq counts %d failures, error %v", stats.Failed, err)
		}
	})
}

func TestFollow_AnotherAccountsSessionWaitsForAWorkerThatKnowsIt(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.session("a", confirming(0), func(s *tasks.Session) { s.Account = "shop" })
		time.Sleep(90 * time.Second)
		info, err := w.tasks.GetTaskInfo(queue.Follow, "shop:a")
		if err != nil || info.State != asynq.TaskStateRetry || info.Retried != 0 || w.seen("a").Polls != 0 {
			t.Errorf("the task: %+v, error %v", info, err)
		}
	})
}

func TestFollow_AnUnreadablePayloadIsArchivedAndALaterOneWaits(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		client := asynq.NewClientFromRedisClient(w.rdb)
		for id, payload := range map[string]string{"broken": `{"v":1,"token":"` + "..\"}", "later": `{"v":99,"token":"a"}`} {
			_, err := client.EnqueueContext(w.ctx, asynq.NewTask(queue.TypeFollow, []byte(payload)),
				asynq.Queue(queue.Follow), asynq.TaskID(id), asynq.MaxRetry(1000), asynq.Timeout(30*time.Second))
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		broken, err := w.tasks.GetTaskInfo(queue.Follow, "broken")
		if err != nil || broken.State != asynq.TaskStateArchived {
			t.Errorf("a broken payload: %+v, error %v", broken, err)
		}
		later, err := w.tasks.GetTaskInfo(queue.Follow, "later")
		if err != nil || later.State != asynq.TaskStateRetry {
			t.Errorf("a later release's payload: %+v, error %v", later, err)
		}
	})
}

func TestFollow_TakesNoMoreThanItsLimit(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start(func(o *Options) { o.FollowLimit = 10 })
		for i := range 30 {
			w.session(fmt.Sprint("a", i), confirming(10*time.Second))
		}
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			if held := p.size(); held > 10+followRuns {
				t.Fatalf("%d sessions are followed", held)
			}
		}
		for i := range 30 {
			w.awaitEnd(fmt.Sprint("a", i), 2*time.Minute)
			w.checkOneStory(fmt.Sprint("a", i))
		}
	})
}
