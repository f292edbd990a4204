package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/webhook"
)

// fault is a promise that a session's story breaks.
type fault string

const (
	lost          fault = "no receiver acknowledged it"
	deliveredMore fault = "acknowledged more than once"
	otherID       fault = "posts with different webhook-ids"
	sharedID      fault = "a webhook-id of another session"
	otherBody     fault = "posts with different bodies"
	otherType     fault = "an event that is not the outcome"
	overlap       fault = "posts overlap"
	removedEarly  fault = "a DELETE before a 2xx"
	notRemoved    fault = "not removed"
	removedMore   fault = "more than one DELETE"
)

// story is all that the outside saw of one session.
type story struct {
	token string
	posts []post
	calls []call
	at    marksim.Snapshot
}

func (w *world) story(token string) story {
	return story{token, w.receiver.of(token), w.calls.of(token), w.snapshot(token)}
}

// check holds the story of every session against the promises: it was delivered
// once, in order, and then removed. What tolerate explains is no fault; it may be
// nil.
func (w *world) check(tokens []string, tolerate func(story, fault) bool) {
	w.t.Helper()
	owner := make(map[string]string) // of each webhook-id
	counts := make(map[fault]int)
	for _, token := range tokens {
		s := w.story(token)
		faults := s.faults()
		for _, p := range s.posts {
			if known := owner[p.id]; known != "" && known != token {
				faults = append(faults, sharedID)
			}
			owner[p.id] = token
		}
		for _, f := range faults {
			if tolerate != nil && tolerate(s, f) {
				continue
			}
			counts[f]++
			if counts[f] <= 3 {
				w.t.Errorf("%s: %s\n%+v\n%s%s", token, f, s.at, tellPosts(s), tellCalls(s))
			}
		}
	}
	for f, n := range counts {
		w.t.Errorf("%d of %d sessions: %s", n, len(tokens), f)
	}
	for _, err := range w.receiver.refused() {
		w.t.Errorf("the receiver got a request that it cannot accept: %v", err)
	}
}

func (s story) faults() []fault {
	var list []fault
	add := func(is bool, f fault) {
		if is {
			list = append(list, f)
		}
	}
	acknowledged := 0
	var firstAck time.Time
	for i, p := range s.posts {
		if p.acknowledged() {
			acknowledged++
			if firstAck.IsZero() || p.ended.Before(firstAck) {
				firstAck = p.ended
			}
		}
		first := s.posts[0]
		add(p.id != first.id, otherID)
		add(p.body != first.body, otherBody)
		add(i > 0 && (s.posts[i-1].ended.IsZero() || p.begun.Before(s.posts[i-1].ended)), overlap)
		add(p.typ != typeOf(s.at.Outcome), otherType)
	}
	add(acknowledged == 0, lost)
	add(acknowledged > 1, deliveredMore)
	removals := 0
	for _, c := range s.calls {
		if c.removal {
			removals++
			add(firstAck.IsZero() || c.at.Before(firstAck), removedEarly)
		}
	}
	gone := s.at.RemovedAt
	add(!gone.IsZero() && (firstAck.IsZero() || gone.Before(firstAck)), removedEarly)
	add(gone.IsZero(), notRemoved)
	add(max(removals, s.at.Removes) > 1, removedMore)
	return slices.Compact(list)
}

// typeOf is the event that tells of an outcome.
func typeOf(o marksim.Outcome) webhook.Type {
	switch o {
	case marksim.Confirms:
		return webhook.Completed
	case marksim.Refuses, marksim.WrongCode, marksim.Canceled:
		return webhook.Refused
	case marksim.NeverAnswers, marksim.Expires:
		return webhook.Expired
	}
	return webhook.Failed
}

func tellPosts(s story) string {
	var b strings.Builder
	for _, p := range s.posts {
		fmt.Fprintf(&b, "  post by %s %s to %s: HTTP %d\n", p.by, p.begun.Format(clock), p.ended.Format(clock), p.status)
	}
	return b.String()
}

func tellCalls(s story) string {
	var b strings.Builder
	for _, c := range s.calls[max(0, len(s.calls)-12):] {
		what := map[bool]string{true: "DELETE", false: "poll"}[c.removal]
		fmt.Fprintf(&b, "  %s by %s %s\n", what, c.by, c.at.Format(clock))
	}
	return b.String()
}

const clock = "15:04:05.000"

// distribution tells of a set of durations.
type distribution []time.Duration

func (d distribution) sorted() distribution { return slices.Sorted(slices.Values(d)) }

// quantile is the least duration that the share q of all does not exceed.
func (d distribution) quantile(q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return d.sorted()[min(int(q*float64(len(d))), len(d)-1)]
}

func (d distribution) log(t *testing.T, what string) {
	t.Helper()
	t.Logf("%s: n=%d p50=%v p90=%v p99=%v max=%v", what, len(d), d.quantile(0.5), d.quantile(0.9), d.quantile(0.99), d.quantile(1))
}
