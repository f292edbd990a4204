package worker

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
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
	res.Body = io.NopCloser(bytes.NewReader([]byte(s.change(int(s.polls.Add(1)), string(body)))))
	return res, nil
}

// spoil has the answers to polls changed on their way.
func (w *world) spoil(change func(nth int, body string) string) {
	w.markSign = &spoiler{inner: w.sim, change: change}
}

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
			if nth < unusableTries {
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

func TestReasons_OfOurOwnAreThoseOfPackageWebhook(t *testing.T) {
	t.Parallel()
	for reason, message := range ownMessages {
		if !slices.Contains(webhook.Reasons(), reason) || message == "" {
			t.Errorf("%q says %q", reason, message)
		}
	}
}
