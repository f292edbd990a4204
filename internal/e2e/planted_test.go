package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/webhook"
)

// defectiveWorld has one process that panics, or tells what it should not, where
// a session's token says so.
func defectiveWorld(t *testing.T, script func(webhook.Event, []byte, int) answer) (*watcher, *process) {
	t.Helper()
	w := newWorld(t, "--appendonly", "yes")
	w.receiver.script = script
	v := w.watch()
	p := w.prepare("DELIVERY_TIMEOUT=2s")
	p.runDefective()
	p.start()
	return v, p
}

// until lets time go by, and runs tasks early, until the sessions are removed.
func (v *watcher) until(tokens []string, within time.Duration) {
	v.t.Helper()
	if happens(within, func() bool {
		v.sample()
		for _, queue := range []string{queue.Follow, queue.Deliver, queue.Remove} {
			for _, token := range tokens {
				if info := v.task(queue, token); info != nil && strings.Contains(info.LastErr, "defect") {
					_ = v.tasks.RunTask(queue, info.ID)
				}
			}
		}
		for _, token := range tokens {
			if s, _ := v.sim.Session(token); s.RemovedAt.IsZero() {
				return false
			}
		}
		return true
	}) {
		return
	}
	for _, token := range tokens {
		if s, _ := v.sim.Session(token); s.RemovedAt.IsZero() {
			v.t.Errorf("%s is not removed after %v", token, within)
		}
	}
}

// TestPanics_ShowNothingPersonal has every step of a session panic with what is
// personal in its hands: in the follower's pools, in the tasks' handlers, and
// once where a probe is answered.
func TestPanics_ShowNothingPersonal(t *testing.T) {
	t.Parallel()
	v, p := defectiveWorld(t, nil)
	var all []string
	for _, step := range []string{"panicanswer", "panicpost", "panicremove", "panicfollow"} {
		all = append(all, v.begin(step, 3, marked(marksim.Confirms, time.Second))...)
	}
	v.enqueue(all, "--check=peps,sanctions")
	v.until(all, 4*time.Minute) // a removal that panics is left alone for a minute
	for range 8 {
		v.probes.WriteString(p.probesSay())
	}
	p.terminate()
	if code := p.awaitExit(35 * time.Second); code != 0 {
		t.Errorf("exit code %d: the panics ended the process", code)
	}
	panics := make(map[string]int)
	for _, e := range p.entries() {
		if e["msg"] == "a defect in identwatch" {
			session, _ := e["session"].(string)
			token, _ := strings.CutPrefix(session, "default:")
			step, _, _ := strings.Cut(token, "-")
			panics[step]++
			if stack, _ := e["stack"].(string); !strings.Contains(stack, ".go:") || e["panic"] == "" {
				t.Errorf("the log does not say where the panic was: %v", e)
			}
		}
	}
	t.Logf("panics: %v", panics)
	for step, least := range map[string]int{"panicanswer": 9, "panicpost": 12, "panicremove": 12, "panicfollow": 12, "": 1} {
		if panics[step] < least {
			t.Errorf("%q: %d panics in the log, want at least %d", step, panics[step], least)
		}
	}
	mustBeClean(t, v.seen(), v.secretsSearch())
	v.mustEnd(all)
}

// mustEnd demands that the panics did no harm to anybody's story but those whose
// answer could not be read.
func (v *watcher) mustEnd(tokens []string) {
	v.t.Helper()
	for _, token := range tokens {
		want := webhook.Completed
		if strings.HasPrefix(token, "panicanswer") {
			want = webhook.Failed
		}
		posts := v.receiver.of(token)
		if len(posts) != 1 || posts[0].typ != want || v.state(token) != outcome.Delivered {
			v.t.Errorf("%s: %d posts, state %s, want one %s that is delivered", token, len(posts), v.state(token), want)
		}
	}
}

// leaks are where the defective process tells what it should not, by the token's
// beginning, and the places of which one at least must show it.
var leaks = map[string][]string{
	"leaklog": {"the logs"}, "leakattribute": {"the logs"}, "leakjson": {"the logs"}, "leakbase64": {"the logs"},
	"leakurl": {"the logs"}, "leakbytes": {"the logs"}, "leaktoken": {"the logs"},
	"leakkey": {"what Redis was told", "the files of Redis"}, "leakname": {"Redis", "what Redis was told"},
	"leakrecord": {"Redis", "the files of Redis"}, "leakset": {"Redis", "what Redis was told"},
	"leakerror": {"asynqmon", "Redis", "what Redis was told"}, "leakresult": {"asynqmon", "Redis", "what Redis was told"},
	"leakprobe": {"the probes"},
}

// TestLeakSearch_IsRedOnPlantedLeaks shows that the search would find what
// TestServe_LeavesNothingPersonalInTheClear does not, for each leak by itself.
func TestLeakSearch_IsRedOnPlantedLeaks(t *testing.T) {
	t.Parallel()
	v, p := defectiveWorld(t, func(e webhook.Event, _ []byte, nth int) answer {
		if nth == 1 && strings.HasPrefix(e.Data.Token, "leakerror") {
			return answer{status: http.StatusInternalServerError} // so that webhook:deliver runs too
		}
		return answer{}
	})
	var all []string
	for leak := range leaks {
		if leak == "leakprobe" {
			continue
		}
		person := marked(marksim.Confirms, 0)
		person.Name = nameOf(leak)
		all = append(all, v.begin(leak, 1, person)...)
	}
	v.enqueue(all)
	v.until(all, 4*time.Minute)
	for range 8 {
		v.probes.WriteString(p.probesSay())
	}
	seen := v.seen()
	for leak, places := range leaks {
		search := newLeakSearch()
		switch leak {
		case "leaktoken":
			search.add(leak, v.secrets.accessToken)
		case "leakprobe":
			search.add(leak, "MARKPROBE2P")
		default:
			search.add(leak, nameOf(leak))
			search.add(leak, markOf(leak)) // as it is found where it was encoded twice
		}
		for _, where := range places {
			if len(search.find([]byte(seen[where]))) == 0 {
				t.Errorf("%s is not found in %s", leak, where)
			}
		}
		if leak != "leaktoken" {
			mustBeFoundOnlyThere(t, leak, search, seen)
		}
	}
}

// nameOf is the name of the person whom a leak is about, whose letters are
// written differently in different places.
func nameOf(leak string) string { return "Žydrūnė <" + markOf(leak) + ">/Ūsaitė" }

func markOf(leak string) string { return "MARK" + strings.ToUpper(leak) + "9Z" }

// mustBeFoundOnlyThere holds the places against each other: what is leaked to the
// log alone is not in Redis.
func mustBeFoundOnlyThere(t *testing.T, leak string, search *leakSearch, seen map[string]string) {
	t.Helper()
	if leaks[leak][0] != "the logs" {
		return
	}
	for _, where := range []string{"Redis", "what Redis was told", "asynqmon"} {
		if found := search.find([]byte(seen[where])); len(found) > 0 {
			t.Errorf("%s, which is to the log alone, is found in %s: %v", leak, where, found)
		}
	}
}
