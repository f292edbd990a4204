package worker

import (
	"reflect"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/redistest"
)

// awaitEnds waits until no task is left. An operator runs what waits for its
// next try, which spares the long pauses.
func (l *life) awaitEnds() {
	const patience = 3 * time.Minute
	for begun := time.Now(); l.tasksLeft() > 0; {
		if time.Since(begun) > patience {
			dump, _ := redistest.Dump(l.ctx, l.rdb)
			l.t.Fatalf("tasks are left after %v; the plan: %v\nlogs:\n%s\nRedis:\n%s", patience, l.plan, l.logs, dump)
		}
		for _, queue := range []string{queue.Deliver, queue.Remove} {
			for _, token := range l.tokens {
				if info, err := l.tasks.GetTaskInfo(queue, "default:"+token); err == nil && info.State == asynq.TaskStateRetry {
					_ = l.tasks.RunTask(queue, "default:"+token)
				}
			}
		}
		time.Sleep(time.Second)
	}
}

// tasksLeft counts the tasks that are not completed.
func (l *life) tasksLeft() (left int) {
	for _, queue := range []string{queue.Follow, queue.Deliver, queue.Remove} {
		if info, err := l.tasks.GetQueueInfo(queue); err == nil {
			left += info.Size - info.Completed
		}
	}
	return left
}

func (l *life) fault(token, format string, args ...any) {
	l.t.Helper()
	l.t.Logf("the plan: %v\nlogs:\n%s", l.plan, l.logs)
	l.t.Fatalf(token+": "+format, args...)
}

// checkPosts: one story, told by one at a time, and twice only where a worker
// died or Redis lost a note.
func (l *life) checkPosts(token string) {
	l.t.Helper()
	acknowledged := 0
	posts := l.receiver.of(token)
	for i, p := range posts {
		switch first := posts[0]; {
		case p.id != first.id:
			l.fault(token, "attempt %d has another id", i+1)
		case l.losses == 0 && p.body != first.body, !l.forgot[token] && !reflect.DeepEqual(p.event.Data, first.event.Data):
			l.fault(token, "attempt %d tells another story:\n%s\n%s", i+1, p.body, first.body)
		case i > 0 && l.losses == 0 && p.begun.Before(posts[i-1].end):
			l.fault(token, "attempts %d and %d overlap", i, i+1)
		case acknowledged > l.cuts+l.losses:
			l.fault(token, "posted again after %d acknowledgements, with %d deaths and %d losses", acknowledged, l.cuts, l.losses)
		}
		if at, canceled := l.canceled[token]; canceled && p.begun.After(at) {
			l.fault(token, "posted after it was cancelled")
		}
		if p.status/100 == 2 {
			acknowledged++
		}
	}
}

// checkRemovals: no DELETE before a 2xx, a 410 or the cancelling, and the delay.
func (l *life) checkRemovals(token string) {
	l.t.Helper()
	allowed := l.canceled[token]
	for _, p := range l.receiver.of(token) {
		if told := p.status/100 == 2 || p.status == 410; told && (allowed.IsZero() || p.end.Before(allowed)) {
			allowed = p.end
		}
	}
	const millisecond = 5 * time.Millisecond // records keep milliseconds
	for _, at := range l.removes[token] {
		ended := l.record(token).Ended
		if allowed.IsZero() || at.Before(allowed.Add(outcome.RemovalDelay-millisecond)) || at.Before(ended.Add(outcome.RemovalDelay-millisecond)) {
			l.fault(token, "a DELETE at %v, allowed since %v, noted %v", at, allowed, ended)
		}
	}
}

// checkEnd: the record, the receiver and MarkSign agree on how it ended.
func (l *life) checkEnd(token string) {
	l.t.Helper()
	r := l.record(token)
	told := map[int]int{}
	for _, p := range l.receiver.of(token) {
		told[p.status/100]++
	}
	_, canceled := l.canceled[token]
	switch {
	case canceled != (r.State == outcome.Cancelled):
		l.fault(token, "cancelled %v, the record: %+v", canceled, r)
	case l.deleted[token] && !r.State.MayRemove():
		return // an operator stopped it
	case !r.State.MayRemove():
		l.fault(token, "no end: %+v", r)
	case r.State == outcome.Delivered && told[2] == 0, r.State == outcome.GivenUp && told[4] == 0, canceled && len(told) > 0:
		l.fault(token, "the receiver answered %v, the record: %+v", told, r)
	case r.State == outcome.Delivered && r.HasSealed():
		l.fault(token, "the result is still there")
	}
	if l.losses == 0 && r.Attempts < len(l.receiver.of(token)) {
		l.fault(token, "%d attempts are noted of %d", r.Attempts, len(l.receiver.of(token)))
	}
	removed := r.Removal == outcome.Removed || r.Removal == outcome.RemovedUnknown
	if gone := l.seen(token).RemovedAt; !l.deleted[token] && (!removed || gone.IsZero() && !l.forgot[token] && r.Removal == outcome.Removed) {
		l.fault(token, "removed at %v, the record: %+v", gone, r)
	}
}
