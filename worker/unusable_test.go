package worker

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/remove"
	"github.com/identwatch/identwatch/webhook"
)

// spoiler is an intermediary that changes answers of the simulated MarkSign.
type spoiler struct {
	inner  http.RoundTripper
	change func(nth int, body string) string // of answers to polls
	polls  atomic.Int32
}

func (s *spoiler) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := s.inner.RoundTrip(req)
	if err != nil || !strings.Contains(req.URL.Path, "/status/") {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	changed := s.change(int(s.polls.Add(1)), string(body))
	res.Body = io.NopCloser(strings.NewReader(changed))
	if changed == cutOff {
		res.Body = io.NopCloser(io.MultiReader(strings.NewReader(changed), iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return res, nil
}

// spoil has the answers to polls changed on their way.
func (w *world) spoil(change func(nth int, body string) string) {
	w.markSign = &spoiler{inner: w.sim, change: change}
}

// cutOff is an ok that the connection does not bring to its end.
const cutOff = `{"status":"ok","code":"30303039914","na`

// tooMuch begins an ok that is over 8 MiB.
var tooMuch = `{"x":"` + strings.Repeat("x", 8<<20) + `","status":"ok"`

const otherToken = `"token":"00000000-0000-0000-0000-000000000000"`

// ofAnother is an ok for another token.
func ofAnother(token string) func(int, string) string {
	return func(_ int, body string) string { return strings.Replace(body, `"token":"`+token+`"`, otherToken, 1) }
}

func TestFollow_AnUnusableOKIsToldAsSuch(t *testing.T) {
	for name, change := range map[string]func(int, string) string{
		"other token": ofAnother("a"),
		"no code": func(_ int, body string) string {
			return strings.Replace(body, `"code":"30303039914"`, `"code":null`, 1)
		},
		"not UTF-8":    func(_ int, body string) string { return strings.Replace(body, `JONASMARKED`, "J\xd6NAS", 1) },
		"two codes":    func(_ int, body string) string { return strings.Replace(body, `"code":`, `"code":"1","code":`, 1) },
		"broken":       func(_ int, body string) string { return body[:len(body)/2] },
		"over 8 MiB":   func(_ int, body string) string { return strings.Replace(body, `{"status":"ok"`, tooMuch, 1) },
		"gone after 3": goneAfter(3),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.spoil(change)
				w.start()
				w.session("a", confirming(0))
				w.await("the event", time.Minute, func() bool { return len(w.receiver.of("a")) == 1 })
				post := w.receiver.of("a")[0]
				if post.event.Type != webhook.Failed || post.event.Data.Error.Reason != webhook.ReasonUnusableAnswer || post.event.Data.Person != nil {
					t.Errorf("the event: %s", post.body)
				}
				if polls := w.seen("a").Polls; name != "gone after 3" && polls != unusableTries {
					t.Errorf("%d polls", polls)
				}
				if log := w.logs.String(); strings.Count(log, `"level":"ERROR"`) != 1 || !strings.Contains(log, "no answer could be used") {
					t.Errorf("the log: %s", log)
				}
				w.checkNothingPersonal()
			})
		})
	}
}

// goneAfter is an ok for another token a few times, and then a session that is not known.
func goneAfter(times int) func(int, string) string {
	return func(nth int, body string) string {
		if nth > times {
			return `{"status":"error","message":"Session for given token was not found","error_code":40402}`
		}
		return ofAnother("a")(nth, body)
	}
}

func TestFollow_AnUnusableOKThatBecomesGoodIsAnIdentification(t *testing.T) {
	inWorld(t, func(w *world) {
		w.spoil(func(nth int, body string) string {
			if nth < 6 { // the last that is asked for, as README.md says
				return ofAnother("a")(nth, body)
			}
			return body
		})
		w.start()
		w.session("a", confirming(0))
		w.awaitEnd("a", time.Minute)
		if post := w.checkOneStory("a"); post.event.Type != webhook.Completed {
			t.Errorf("the event: %s", post.body)
		}
		if log := w.logs.String(); strings.Contains(log, `"level":"ERROR"`) {
			t.Errorf("the log: %s", log)
		}
	})
}

// The last answers before the deadline were unusable, or came after one that was.
func TestFollow_AnUnusableOKBeforeTheDeadlineDecides(t *testing.T) {
	for name, row := range map[string]struct {
		answers []string // by the poll, the last for all later ones; "" is the spoilt ok
		reason  string
	}{
		"unusable":               {[]string{""}, webhook.ReasonUnusableAnswer},
		"unusable, then trouble": {[]string{"", "<html>"}, webhook.ReasonUnusableAnswer},
		"unusable, then pending": {[]string{"", `{"status":"waiting"}`}, webhook.ReasonDeadline},
		"unusable, then refused": {[]string{"", `{"status":"error","error_code":40020}`}, webhook.ReasonRefused},
		"trouble, then unusable": {[]string{"<html>", "<html>", ""}, webhook.ReasonUnusableAnswer},
		"cut":                    {[]string{cutOff}, webhook.ReasonUnusableAnswer},
		"cut, then trouble":      {[]string{cutOff, "<html>"}, webhook.ReasonUnusableAnswer},
		"cut, then not found":    {[]string{cutOff, `{"status":"error","error_code":40402}`}, webhook.ReasonUnusableAnswer},
		"cut, then pending":      {[]string{cutOff, `{"status":"waiting"}`}, webhook.ReasonDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.spoil(func(nth int, body string) string {
					if answer := row.answers[min(nth, len(row.answers))-1]; answer != "" {
						return answer
					}
					return ofAnother("a")(nth, body)
				})
				w.start(func(o *Options) { o.SessionTimeout = 10 * time.Second })
				w.session("a", marksim.Person{Code: "30303039914"})
				w.await("the event", time.Minute, func() bool { return len(w.receiver.of("a")) == 1 })
				if post := w.receiver.of("a")[0]; post.event.Data.Error.Reason != row.reason {
					t.Errorf("the event: %s", post.body)
				}
			})
		})
	}
}

// The session stays at MarkSign, and its answer sealed, until an operator had the redelivery window to look at it.
func TestFollow_AnUnusableOKIsKeptForTheRedeliveryWindow(t *testing.T) {
	inWorld(t, func(w *world) {
		w.spoil(ofAnother("a"))
		p := w.start(func(o *Options) { o.RedeliveryWindow = 3 * time.Minute })
		w.session("a", confirming(0))
		w.awaitEnd("a", 2*time.Minute)
		w.checkOneStory("a")
		time.Sleep(2 * time.Minute)
		status, err := w.admin().Status(w.ctx, named("a"))
		if err != nil || status.State != admin.Delivered || status.Removal != "pending" || status.KeptUntil.Sub(status.EndedAt) != 3*time.Minute ||
			status.LastError != remove.WhyKept {
			t.Errorf("%+v, error %v", status, err)
		}
		answer, err := w.admin().Answer(w.ctx, named("a"), p.opts.OutcomeKeys)
		if err != nil || !strings.Contains(string(answer), otherToken) || !strings.Contains(string(answer), "JONASMARKED") {
			t.Errorf("the answer: %q, error %v", answer, err)
		}
		if _, err := w.admin().Answer(w.ctx, named("a"), [][]byte{bytes.Repeat([]byte("k"), 32)}); !errors.Is(err, outcome.ErrSealUnknownKey) {
			t.Errorf("with another key: %v", err)
		}
		w.checkNothingPersonal()
		if seen := w.seen("a"); seen.Removes != 0 {
			t.Errorf("%d DELETEs within the window", seen.Removes)
		}
		w.await("the removal", 2*time.Minute, func() bool { return !w.seen("a").RemovedAt.IsZero() })
		if kept := w.seen("a").RemovedAt.Sub(status.EndedAt); kept < 3*time.Minute || kept > 3*time.Minute+5*time.Second {
			t.Errorf("kept for %v", kept)
		}
		w.awaitTask(queue.Remove, "a", time.Minute)
		if _, err := w.admin().Answer(w.ctx, named("a"), p.opts.OutcomeKeys); !errors.Is(err, admin.ErrNoAnswer) {
			t.Errorf("after the removal: %v", err)
		}
	})
}

func TestFollow_AnUnusableOKIsRemovedAtOnceWithoutAWindow(t *testing.T) {
	inWorld(t, func(w *world) {
		w.spoil(ofAnother("a"))
		p := w.start(func(o *Options) { o.RedeliveryWindow = -1 })
		w.session("a", confirming(0))
		w.awaitEnd("a", 2*time.Minute)
		w.checkOneStory("a")
		if w.seen("a").RemovedAt.IsZero() {
			t.Error("not removed")
		}
		if _, err := w.admin().Answer(w.ctx, named("a"), p.opts.OutcomeKeys); !errors.Is(err, admin.ErrNoAnswer) {
			t.Errorf("the answer: %v", err)
		}
	})
}

// Delivery is given up before the session is kept; the window counts from then.
func TestFollow_AnUnusableOKWhoseDeliveryIsGivenUpIsKeptToo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) { return http.StatusGone, 0, nil }
		w.spoil(ofAnother("a"))
		w.start(func(o *Options) { o.RedeliveryWindow = 2 * time.Minute })
		w.session("a", confirming(0))
		w.await("giving up", 2*time.Minute, func() bool { return w.record("a").State == outcome.GivenUp })
		ended := w.record("a").Ended
		w.await("the removal", 3*time.Minute, func() bool { return !w.seen("a").RemovedAt.IsZero() })
		if kept := w.seen("a").RemovedAt.Sub(ended); kept < 2*time.Minute || kept > 2*time.Minute+5*time.Second {
			t.Errorf("kept for %v", kept)
		}
	})
}

// Whoever takes over knows that there was an ok, also if its answer is not readable any more.
func TestFollow_AnUnusableOKOutlivesTheWorkerThatSawIt(t *testing.T) {
	inWorld(t, func(w *world) {
		w.spoil(goneAfter(2))
		p := w.start()
		w.session("a", confirming(0))
		w.await("two polls", time.Minute, func() bool { return w.record("a").Unusables == 2 })
		p.cut()
		w.start()
		w.await("the event", time.Minute, func() bool { return len(w.receiver.of("a")) == 1 })
		if post := w.receiver.of("a")[0]; post.event.Data.Error.Reason != webhook.ReasonUnusableAnswer {
			t.Errorf("the event: %s", post.body)
		}
		if answer, err := w.admin().Answer(w.ctx, named("a"), p.opts.OutcomeKeys); err != nil || !strings.Contains(string(answer), otherToken) {
			t.Errorf("the answer: %q, error %v", answer, err)
		}
	})
}

// A good answer after a bad one, and a session that is cancelled, leave no answer behind.
func TestFollow_AnUnusableOKIsErasedByAnotherOutcome(t *testing.T) {
	inWorld(t, func(w *world) {
		w.spoil(func(nth int, body string) string {
			if nth == 3 {
				return body
			}
			return ofAnother("a")(nth, ofAnother("b")(nth, body))
		})
		p := w.start()
		answerOf := func(token string) error {
			_, err := w.admin().Answer(w.ctx, named(token), p.opts.OutcomeKeys)
			return err
		}
		w.session("a", confirming(0))
		w.await("an unusable answer", time.Minute, func() bool { return answerOf("a") == nil })
		w.awaitEnd("a", 2*time.Minute)
		w.checkOneStory("a")
		w.session("b", confirming(0))
		w.await("an unusable answer", time.Minute, func() bool { return answerOf("b") == nil })
		if _, err := w.admin().Cancel(w.ctx, named("b")); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"a", "b"} {
			if err := answerOf(token); !errors.Is(err, admin.ErrNoAnswer) {
				t.Errorf("%s: %v", token, err)
			}
		}
	})
}

// An answer that Redis did not take counts for nothing: it is asked for again.
func TestFollow_AnUnusableOKIsSealedThoughRedisWasAway(t *testing.T) {
	inWorld(t, func(w *world) {
		w.spoil(func(nth int, body string) string {
			if nth == unusableTries-1 {
				w.mini.SetError("LOADING for a while")
				time.AfterFunc(2*time.Second, func() { w.mini.SetError("") })
			}
			return ofAnother("a")(nth, body)
		})
		p := w.start()
		w.session("a", confirming(0))
		w.await("the event", 3*time.Minute, func() bool { return len(w.receiver.of("a")) == 1 })
		if got := w.record("a").Unusables; got != unusableTries {
			t.Errorf("%d answers are noted", got)
		}
		if answer, err := w.admin().Answer(w.ctx, named("a"), p.opts.OutcomeKeys); err != nil || !strings.Contains(string(answer), otherToken) {
			t.Errorf("the answer: %q, error %v", answer, err)
		}
	})
}
