package worker

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/admin"
	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// giveUp follows a session whose receiver is gone, to the removal.
func (w *world) giveUp(token string, change ...func(*tasks.Session)) {
	w.t.Helper()
	w.receiver.answer = func(*http.Request, int) (int, time.Duration, http.Header) { return http.StatusGone, 0, nil }
	w.session(token, confirming(0), change...)
	w.await("the removal", time.Minute, func() bool { return w.record(token).Removal == outcome.Removed })
	w.receiver.answer = nil
}

func TestRedeliver_PostsTheSameEventOnceMore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.giveUp("a", func(s *tasks.Session) { s.CallbackURL = "https://own.example:8443/hook" })
		list, err := w.admin().GivenUp(w.ctx, time.Time{})
		if err != nil || len(list) != 1 || list[0].Job.Token != "a" || list[0].Job.CallbackURL != "https://own.example:8443/hook" ||
			list[0].Attempts != 1 || list[0].LastError != "HTTP 410" || list[0].Redelivered {
			t.Fatalf("the list: %+v, %v", list, err)
		}
		for range 2 { // repeating it is safe
			if err := w.admin().Redeliver(w.ctx, named("a")); err != nil {
				t.Fatal(err)
			}
		}
		result := w.awaitTask(queue.Deliver, "a", time.Minute)
		w.checkOneStory("a")
		if result.Delivery != outcome.Delivered || result.Attempts != 2 || w.seen("a").Removes != 1 {
			t.Errorf("the task's result: %+v", result)
		}
		if err := w.admin().Redeliver(w.ctx, named("a")); !errors.Is(err, admin.ErrDataErased) {
			t.Errorf("again after the 2xx: %v", err)
		}
		if list, err := w.admin().GivenUp(w.ctx, time.Time{}); err != nil || len(list) != 0 {
			t.Errorf("the list after the 2xx: %v, %v", list, err)
		}
		time.Sleep(5 * time.Second)
		w.checkOneStory("a")
		w.checkNothingPersonal()
	})
}

func TestRedeliver_BeginsTheScheduleAnew(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.DeliveryWindow = time.Minute })
		w.receiver.answer = failing(1000, 500)
		w.session("a", confirming(0))
		if r := w.awaitTask(queue.Deliver, "a", 5*time.Minute); r.Delivery != outcome.GivenUp {
			t.Fatalf("%+v", r)
		}
		before := len(w.receiver.of("a"))
		if err := w.admin().Redeliver(w.ctx, named("a")); err != nil {
			t.Fatal(err)
		}
		w.await("three attempts more", 2*time.Minute, func() bool { return len(w.receiver.of("a")) == before+3 })
		posts := w.receiver.of("a")[before:]
		for i, least := range []time.Duration{time.Second, 5 * time.Second} {
			if pause := posts[i+1].begun.Sub(posts[i].begun); pause < least || pause > least+least/10+4*time.Second {
				t.Errorf("pause %d is %v, the schedule says %v", i+1, pause, least)
			}
		}
		w.await("the second end of the window", 2*time.Minute, func() bool { return w.record("a").State == outcome.GivenUp })
		w.receiver.answer = nil
		if err := w.admin().Redeliver(w.ctx, named("a")); err != nil {
			t.Fatal(err)
		}
		w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		w.checkOneStory("a")
	})
}

func TestRedeliver_WithinTheWindowAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		w.giveUp("a")
		w.giveUp("b")
		p.stop()
		w.age(7*24*time.Hour - time.Hour)
		w.receiver.answer = failing(1000, 500)
		p = w.start()
		if err := w.admin().Redeliver(w.ctx, named("a")); err != nil {
			t.Errorf("an hour before the window's end: %v", err)
		}
		w.await("an attempt", time.Minute, func() bool { return len(w.receiver.of("a")) == 2 })
		p.stop()
		w.age(2 * time.Hour)
		if err := w.admin().Redeliver(w.ctx, named("b")); !errors.Is(err, admin.ErrResultErased) {
			t.Errorf("after the window's end: %v", err)
		}
		w.start()
		w.await("the end of the redelivery", time.Minute, func() bool { return w.record("a").State == outcome.GivenUp })
		if list, err := w.admin().GivenUp(w.ctx, time.Time{}); err != nil || len(list) != 0 {
			t.Errorf("the list after the window: %v, %v", list, err)
		}
	})
}

// age lets virtual time go by, for Redis's keys too.
func (w *world) age(d time.Duration) {
	time.Sleep(d)
	w.mini.FastForward(d)
}

func TestRedeliver_SaysWhyNot(t *testing.T) {
	inWorld(t, func(w *world) {
		if err := w.admin().Redeliver(w.ctx, named("unknown")); !errors.Is(err, admin.ErrNoRecord) {
			t.Errorf("unknown: %v", err)
		}
		w.start()
		w.session("waiting", confirming(time.Hour))
		w.await("the first poll", 5*time.Second, func() bool { return w.record("waiting").State == outcome.Following })
		if err := w.admin().Redeliver(w.ctx, named("waiting")); !errors.Is(err, admin.ErrNotGivenUp) {
			t.Errorf("followed: %v", err)
		}
		store := outcome.NewStore(outcome.Config{Redis: w.rdb})
		if _, err := store.Cancel(w.ctx, outcome.Session{ID: "default:stopped"}, outcome.RemovalHanded); err != nil {
			t.Fatal(err)
		}
		if err := w.admin().Redeliver(w.ctx, named("stopped")); !errors.Is(err, admin.ErrCancelled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// Who asked for the redelivery died between the note and the task.
func TestRedeliver_ANoteWithoutATaskIsFound(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		w.giveUp("a")
		p.stop()
		if change, err := p.records.Redeliver(w.ctx, outcome.Session{ID: "default:a"}); err != nil || !change.Applied {
			t.Fatal(change.Applied, err)
		}
		w.start()
		w.await("the delivery", time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		w.checkOneStory("a")
	})
}

// An operator is so quick that the session is not removed yet.
func TestRedeliver_BeforeTheRemoval(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = func(_ *http.Request, n int) (int, time.Duration, http.Header) {
			if n == 1 {
				return http.StatusGone, 0, nil
			}
			return 200, 0, nil
		}
		w.start()
		w.session("a", confirming(0))
		w.await("the end of delivery", time.Minute, func() bool { return w.record("a").State == outcome.GivenUp })
		if err := w.admin().Redeliver(w.ctx, named("a")); err != nil {
			t.Fatal(err)
		}
		w.await("both", time.Minute, func() bool { r := w.record("a"); return r.State == outcome.Delivered && r.Removal == outcome.Removed })
		w.awaitEnd("a", 10*time.Second)
		if n := w.seen("a").Removes; n != 1 {
			t.Errorf("removed %d times", n)
		}
	})
}

// With a lost key the event is made anew, from what MarkSign still tells.
func TestOpen_ALostKeyIsNoLostEvent(t *testing.T) {
	for name, lose := range map[string]func(*Options, *world){
		"key": func(o *Options, _ *world) { o.OutcomeKeys = [][]byte{[]byte("another-key-another-key-another-")} },
		"changed in Redis": func(_ *Options, w *world) {
			w.rdb.SetRange(w.ctx, "identwatch:default:a:sealed", 40, "changed")
		},
		"cut short":     func(_ *Options, w *world) { w.rdb.Set(w.ctx, "identwatch:default:a:sealed", "\x01short", time.Hour) },
		"lost by Redis": func(_ *Options, w *world) { w.rdb.Del(w.ctx, "identwatch:default:a:sealed") },
		"of another session": func(_ *Options, w *world) {
			w.rdb.Copy(w.ctx, "identwatch:default:b:sealed", "identwatch:default:a:sealed", 0, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.receiver.answer = failing(1, 500)
				p := w.start()
				w.session("a", confirming(0))
				w.session("b", confirming(0))
				w.await("the failures", time.Minute, func() bool { return w.record("a").State == outcome.Handed && w.record("b").State == outcome.Handed })
				p.stop()
				w.start(func(o *Options) { lose(o, w) })
				w.awaitTask(queue.Deliver, "a", time.Minute)
				if last := w.checkOneStory("a"); last.event.Data.Token != "a" || last.event.Data.Person == nil {
					t.Errorf("the event: %v", last.event.Type)
				}
				w.checkNothingPersonal()
			})
		})
	}
}

// Outcomes without a person are made anew likewise, ours among them.
func TestOpen_EveryOutcomeIsMadeAnew(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(1, 500)
		p := w.start(func(o *Options) { o.SessionTimeout = 10 * time.Second })
		refusing := confirming(0)
		refusing.Outcome = marksim.Refuses
		w.session("refused", refusing)
		w.session("deadline", confirming(time.Hour))
		for _, token := range []string{"refused", "deadline"} {
			w.await("the failure", time.Minute, func() bool { return w.record(token).State == outcome.Handed })
		}
		p.stop()
		w.start(func(o *Options) { o.OutcomeKeys = [][]byte{[]byte("another-key-another-key-another-")} })
		for token, want := range map[string]webhook.Type{"refused": webhook.Refused, "deadline": webhook.Expired} {
			w.await("the delivery", time.Minute, func() bool { return w.record(token).State == outcome.Delivered })
			if last := w.checkOneStory(token); last.event.Type != want {
				t.Errorf("%s: %s", token, last.event.Type)
			}
		}
	})
}

// MarkSign tells another story by now: the delivery waits for the key.
func TestOpen_NeverTellsASecondStory(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(1, 500)
		p := w.start()
		w.session("a", confirming(0))
		w.await("the failure", time.Minute, func() bool { return w.record("a").State == outcome.Handed })
		p.stop()
		w.sim.Forget("a")
		other := w.start(func(o *Options) { o.OutcomeKeys = [][]byte{[]byte("another-key-another-key-another-")} })
		w.await("an attempt", time.Minute, func() bool { return w.record("a").Attempts > 1 })
		time.Sleep(time.Second)
		if r := w.record("a"); len(w.receiver.of("a")) != 1 || !strings.Contains(r.LastError, "not among the outcome keys") {
			t.Errorf("%d posts, %q", len(w.receiver.of("a")), r.LastError)
		}
		other.stop()
		w.start()
		w.await("the delivery", 3*time.Minute, func() bool { return w.record("a").State == outcome.Delivered })
		w.checkOneStory("a")
	})
}

// The window ends also for an event that cannot be opened: its key is lost, and
// MarkSign no longer knows the session.
func TestOpen_GivesUpAtTheWindowsEndWhatItCannotOpen(t *testing.T) {
	inWorld(t, func(w *world) {
		w.receiver.answer = failing(1, 500)
		window := func(o *Options) { o.DeliveryWindow = 2 * time.Minute }
		p := w.start(window)
		w.session("a", confirming(0))
		w.await("the failure", time.Minute, func() bool { return w.record("a").State == outcome.Handed })
		p.stop()
		w.sim.Forget("a")
		w.start(window, func(o *Options) { o.OutcomeKeys = [][]byte{[]byte("another-key-another-key-another-")} })
		w.await("the end of the window", 5*time.Minute, func() bool { return w.record("a").State == outcome.GivenUp })
		if n := w.record("a").Attempts; n > 8 {
			t.Errorf("%d attempts within two minutes", n)
		}
	})
}

func TestRedeliver_ManyAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		const n = 12
		for i := range n {
			w.giveUp(fmt.Sprint("a", i))
		}
		list, err := w.admin().GivenUp(w.ctx, time.Time{})
		if err != nil || len(list) != n {
			t.Fatalf("%d are given up: %v", len(list), err)
		}
		p.stop()
		middle := list[n/2].At
		if list, err := w.admin().GivenUp(w.ctx, middle); err != nil || len(list) != n/2 {
			t.Errorf("%d since half of them: %v", len(list), err)
		}
		for _, g := range list {
			if err := w.admin().Redeliver(w.ctx, g.Job.Name()); err != nil {
				t.Fatal(err)
			}
		}
		w.start()
		for i := range n {
			w.await("the delivery", time.Minute, func() bool { return w.record(fmt.Sprint("a", i)).State == outcome.Delivered })
			w.checkOneStory(fmt.Sprint("a", i))
		}
	})
}
