package worker

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/queue"
)

// An operator who logs at info sees when MarkSign's trouble begins and why, that it lasts, and when it is over.
func TestTrouble_OfMarkSignIsLoggedAtABoundedRate(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.sim.SetFaults(marksim.Faults{Calls: marksim.StatusCalls, BadGateway: 1})
		for _, token := range []string{"a", "b", "c", "d"} {
			w.session(token, confirming(0))
		}
		time.Sleep(2*time.Minute + 30*time.Second)
		w.sim.SetFaults()
		for _, token := range []string{"a", "b", "c", "d"} {
			w.awaitEnd(token, 2*time.Minute)
		}
		const warning, over = "MarkSign gives no usable answer", "MarkSign answers again"
		var lines []string
		for line := range strings.Lines(w.logs.String()) {
			if strings.Contains(line, warning) || strings.Contains(line, over) {
				lines = append(lines, line)
			}
		}
		if len(lines) < 3 || len(lines) > 4 || strings.Count(w.logs.String(), over) != 1 || !strings.Contains(lines[len(lines)-1], over) {
			t.Fatalf("got %q", lines)
		}
		if first := lines[0]; !strings.Contains(first, `"level":"WARN"`) || !strings.Contains(first, `"detail":"HTTP 502 without a JSON answer"`) || !strings.Contains(first, `"account":"default"`) {
			t.Errorf("the warning: %s", first)
		}
		// The next poll after an error comes within 36 s.
		if last := lines[len(lines)-1]; !strings.Contains(last, `"level":"INFO"`) || !regexp.MustCompile(`"after":1[5-8]\d[.,]`).MatchString(last) {
			t.Errorf("its end: %s", last)
		}
	})
}

// What was wrong last is in the record, in the task's result and on the finished line.
func TestTrouble_LastCauseIsTold(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start(func(o *Options) { o.SessionTimeout = 20 * time.Second })
		w.sim.SetFaults(marksim.Faults{Calls: marksim.StatusCalls, HTML: 1})
		w.session("a", confirming(0))
		result := w.awaitEnd("a", time.Minute)
		const cause = "HTTP 200 without a JSON answer"
		status, err := w.admin().Status(w.ctx, named("a"))
		if err != nil || status.LastTrouble != cause || result.LastTrouble != cause {
			t.Errorf("%+v, %+v, error %v", status, result, err)
		}
		if !strings.Contains(w.logs.String(), `"last_trouble":"`+cause+`"`) {
			t.Errorf("the log: %s", w.logs)
		}
	})
}

func TestTrouble_TakeoversAreLogged(t *testing.T) {
	inWorld(t, func(w *world) {
		p := w.start()
		for _, token := range []string{"a", "b", "c"} {
			w.session(token, confirming(time.Minute))
		}
		time.Sleep(3 * time.Second)
		p.cut()
		w.start()
		for _, token := range []string{"a", "b", "c"} {
			w.awaitEnd(token, 2*time.Minute)
		}
		logs := w.logs.String()
		if n := strings.Count(logs, "took sessions over"); n == 0 || n > 3 || !strings.Contains(logs, `"sessions":`) {
			t.Errorf("logged %d times: %s", n, logs)
		}
	})
}

// MarkSign has nothing to remove of a token that it never knew: nobody need look.
func TestTrouble_ATokenThatMarkSignNeverKnewIsNoError(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start()
		w.enqueue("never-started")
		w.awaitTask(queue.Remove, "never-started", 10*time.Minute)
		if logs := w.logs.String(); strings.Contains(logs, `"level":"ERROR"`) || strings.Contains(logs, `"level":"WARN"`) {
			t.Errorf("the log: %s", logs)
		}
	})
}
