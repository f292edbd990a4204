package worker

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
)

// TestModel lets whole workers live through a drawn plan of starts, deaths, stops
// and faults, and then checks what was promised of every session.
// -rapid.checks=N makes it longer. A failing plan is printed, as short as it gets.
func TestModel(t *testing.T) {
	t.Parallel()
	setChecks(t, 10) // each plan takes about a second
	rapid.Check(t, func(t *rapid.T) {
		plan := rapid.SliceOfN(somePlanned, 4, 14).Draw(t, "plan")
		rapid.SyncTest(t, func(t *rapid.T) {
			inBubble(t, func(w *world) { newLife(w).live(plan) })
		})
	})
}

// setChecks sets how many plans are tried where nobody says it.
func setChecks(t *testing.T, checks int) {
	t.Helper()
	said := flag.Lookup("rapid.checks").DefValue != "100" // by RAPID_CHECKS
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "rapid.checks" })
	if said {
		return
	}
	if err := flag.Lookup("rapid.checks").Value.Set(strconv.Itoa(checks)); err != nil {
		t.Fatal(err)
	}
}

// planned is one thing that happens, and how long nothing happens after it.
type planned struct {
	What  string
	Which int // of the workers or sessions, the more so far
	Pause time.Duration
}

// String is short, for a failing plan is read by people.
func (p planned) String() string { return fmt.Sprintf("%s %d, %v", p.What, p.Which, p.Pause) }

var somePlanned = rapid.Custom(func(t *rapid.T) planned {
	return planned{
		What: rapid.SampledFrom([]string{
			"enqueue", "enqueue", "enqueue late", "enqueue refusing", "enqueue waiting", "enqueue again",
			"start", "start", "cut", "cut", "stop", "run", "delete", "cancel",
			"receiver well", "receiver fails", "receiver slow", "receiver hangs", "receiver gone",
			"MarkSign well", "MarkSign fails", "MarkSign 429", "MarkSign cuts", "MarkSign forgets", "Redis down", "Redis restarts",
		}).Draw(t, "what"),
		Which: rapid.IntRange(0, 3).Draw(t, "which"),
		Pause: rapid.SampledFrom([]time.Duration{0, 50 * time.Millisecond, time.Second, 2500 * time.Millisecond, 4 * time.Second}).Draw(t, "pause"),
	}
})

const (
	modelLease    = 3 * time.Second
	modelDelivery = 8 * time.Second  // longer than a lease: a session is taken over while its event is posted
	modelTimeout  = 30 * time.Second // of a session
	maxWorkers    = 3
	maxSessions   = 5
)

// life is what happened so far of a plan.
type life struct {
	*world
	plan     []planned
	workers  []*process
	tokens   []string
	canceled map[string]time.Time // by the application
	deleted  map[string]bool      // its task, by an operator
	forgot   map[string]bool      // by MarkSign
	cuts     int                  // deaths of workers
	losses   int                  // of what Redis had noted

	mu      sync.Mutex
	removes map[string][]time.Time // DELETEs, as they arrived
}

func newLife(w *world) *life {
	l := &life{
		world: w, canceled: map[string]time.Time{}, deleted: map[string]bool{}, forgot: map[string]bool{}, removes: map[string][]time.Time{},
	}
	w.markSign = l
	return l
}

// RoundTrip notes the DELETEs on their way to MarkSign.
func (l *life) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodDelete {
		token := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		l.mu.Lock()
		l.removes[token] = append(l.removes[token], time.Now())
		l.mu.Unlock()
	}
	return l.sim.RoundTrip(r)
}

func (l *life) live(plan []planned) {
	l.plan = plan
	l.startWorker()
	for _, p := range plan {
		l.do(p)
		time.Sleep(p.Pause)
	}
	l.receiverAnswers(nil)
	l.sim.SetFaults()
	if len(l.workers) == 0 {
		l.startWorker()
	}
	l.awaitEnds()
	for len(l.workers) > 0 {
		l.take(0).stop()
	}
	for _, token := range l.tokens {
		l.checkPosts(token)
		l.checkRemovals(token)
		l.checkEnd(token)
	}
	l.checkNothingPersonal()
}

func (l *life) do(p planned) {
	what, how, _ := strings.Cut(p.What, " ")
	switch what {
	case "enqueue":
		l.enqueueOne(how, p.Which)
	case "start":
		l.startWorker()
	case "cut":
		if worker := l.take(p.Which); worker != nil {
			l.cuts++
			worker.cut()
			go worker.stop() // nothing of it reaches anybody; it only ends
		}
	case "stop":
		if worker := l.take(p.Which); worker != nil {
			worker.stop()
		}
	case "run":
		l.runEarly(p.Which)
	case "delete", "cancel":
		l.stopSession(what, p.Which)
	case "receiver":
		l.receiverAnswers(receiverMoods[how])
	case "MarkSign":
		l.markSignBecomes(how, p.Which)
	case "Redis":
		if how == "restarts" {
			l.loseASecond()
			return
		}
		l.mini.SetError("LOADING Redis is down in this test")
		time.Sleep(time.Second)
		l.mini.SetError("")
	}
}

var receiverMoods = map[string]answerFunc{
	"well":  nil,
	"fails": func(*http.Request, int) (int, time.Duration, http.Header) { return 503, 0, nil },
	"slow":  func(*http.Request, int) (int, time.Duration, http.Header) { return 200, 6 * time.Second, nil },
	"hangs": func(*http.Request, int) (int, time.Duration, http.Header) { return 200, time.Minute, nil },
	"gone":  func(*http.Request, int) (int, time.Duration, http.Header) { return 410, 0, nil },
}

func (l *life) receiverAnswers(answer answerFunc) {
	l.receiver.mu.Lock()
	defer l.receiver.mu.Unlock()
	l.receiver.answer = answer
}

func (l *life) markSignBecomes(how string, which int) {
	faults := map[string]marksim.Faults{
		"fails": {ServerError: 0.7, HTML: 0.3}, "429": {TooMany: 1, RetryAfter: time.Second}, "cuts": {Cut: 0.6, WrongShape: 0.3},
	}
	switch token, known := pick(l.tokens, which); {
	case how == "well":
		l.sim.SetFaults()
	case how != "forgets":
		l.sim.SetFaults(faults[how])
	case known:
		l.forgot[token] = true
		l.sim.Forget(token)
	}
}

// pick returns one of a list, the first where there is only one.
func pick[T any](list []T, which int) (one T, ok bool) {
	if len(list) == 0 {
		return one, false
	}
	return list[which%len(list)], true
}

func (l *life) startWorker() {
	if len(l.workers) == maxWorkers {
		return
	}
	l.workers = append(l.workers, l.start(func(o *Options) {
		o.Lease, o.DeliveryTimeout, o.ShutdownTimeout, o.SessionTimeout = modelLease, modelDelivery, modelDelivery+2*time.Second, modelTimeout
		o.PollWorkers, o.DeliveryConcurrency = 4, 4
	}))
}

// take takes one of the workers out of the list, nil where there is none.
func (l *life) take(which int) *process {
	worker, ok := pick(l.workers, which)
	if ok {
		i := which % len(l.workers)
		l.workers = append(l.workers[:i:i], l.workers[i+1:]...)
	}
	return worker
}

func (l *life) enqueueOne(how string, which int) {
	if how == "again" {
		if token, known := pick(l.tokens, which); known {
			s := tasks.Session{Token: token, Method: tasks.SmartID, Reference: "order-" + token, Checks: []tasks.Check{tasks.PEPs, tasks.Sanctions}}
			if err := l.client.Enqueue(l.ctx, s); err != nil && !errors.Is(err, tasks.ErrDuplicate) {
				l.t.Fatalf("enqueued again: %v", err)
			}
		}
		return
	}
	if len(l.tokens) == maxSessions {
		return
	}
	person := confirming(time.Duration(which) * 500 * time.Millisecond)
	switch how {
	case "late":
		person = confirming(8 * time.Second)
	case "refusing":
		person.Outcome = marksim.Refuses
	case "waiting":
		person.Outcome = marksim.Waits
	}
	token := fmt.Sprint("s", len(l.tokens))
	l.session(token, person)
	l.tokens = append(l.tokens, token)
}

// runEarly is an operator who runs a session's tasks at once.
func (l *life) runEarly(which int) {
	if token, known := pick(l.tokens, which); known {
		for _, queue := range []string{queue.Follow, queue.Deliver, queue.Remove} {
			_ = l.tasks.RunTask(queue, "default:"+token) // where it waits
		}
	}
}

// stopSession is the application that cancels, or the operator who deletes a task.
func (l *life) stopSession(how string, which int) {
	token, known := pick(l.tokens, which)
	switch {
	case !known:
	case how == "delete":
		if err := l.tasks.DeleteTask(queue.Follow, "default:"+token); err == nil {
			l.deleted[token] = true
		}
	default:
		status, err := admin.New(l.rdb).Cancel(l.ctx, named(token))
		switch {
		case errors.Is(err, admin.ErrNoSession), errors.Is(err, admin.ErrOutcomeFirst):
		case err != nil:
			l.t.Fatal(err)
		default:
			l.canceled[token] = status.EndedAt
		}
	}
}
