package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
)

// personalWorld has sessions of every outcome and every failure, of persons that
// are marked, and watches where a mark is to be seen.
type personalWorld struct {
	*watcher
	search   *leakSearch
	markSign *oddMarkSign
	receiver *oddReceiver
	settings []string // of every process
	at       []moment // what is done to it, in the order of time
}

// moment is something that happens so long after the one before.
type moment struct {
	after time.Duration
	do    func()
}

func TestServe_LeavesNothingPersonalInTheClear(t *testing.T) {
	t.Parallel()
	p := newPersonalWorld(t)
	first := p.serve(p.settings...)
	p.serve(p.settings...)
	p.plan(first)
	ends := p.enqueueAll()

	p.live(append(ends, "tampered-00000", "swapped-00000"))
	p.commands()
	p.sample()
	for _, process := range p.processes {
		_ = process.cmd.Process.Signal(syscall.SIGTERM) // some have ended
		process.awaitExit(35 * time.Second)
	}

	seen := p.seen()
	p.showsSomething(seen)
	p.search.add("the certificate", p.receiver.certificate)
	mustBeClean(t, seen, p.search)
	if missing := p.search.find(p.receiver.posted); len(missing) == 0 {
		t.Error("what was posted holds no mark, so the test shows nothing")
	}
	p.checkErased(ends)
}

// live lets things happen until every session is removed.
func (p *personalWorld) live(tokens []string) {
	p.t.Helper()
	last := time.Now()
	over := happens(4*time.Minute, func() bool { // as long as that where the machine is busy
		p.sample()
		if len(p.at) > 0 && time.Since(last) > p.at[0].after {
			p.at[0].do()
			p.at, last = p.at[1:], time.Now()
		}
		return len(p.at) == 0 && len(p.left(tokens)) == 0
	})
	if !over {
		p.t.Errorf("not removed: %q", p.left(tokens))
	}
}

func newPersonalWorld(t *testing.T) *personalWorld {
	t.Helper()
	w := newWorld(t, "--appendonly", "yes", "--appendfsync", "always")
	p := &personalWorld{
		watcher: w.watch(), search: w.secretsSearch(), markSign: newOddMarkSign(w), receiver: newOddReceiver(w),
	}
	p.settings = []string{
		"MARKSIGN_URL=" + listen(t, p.markSign), "CALLBACK_URL=" + listen(t, p.receiver) + "/hook?key=" + markedKey,
		"DELIVERY_TIMEOUT=2s", "DELIVERY_WINDOW=1m", "TASK_KEYS=" + w.secrets.task,
	}
	w.enqueuing = []string{"TASK_KEYS=" + w.secrets.task}
	return p
}

// enqueueAll starts and enqueues the sessions. It returns those that come to
// their end, and whose seals nobody spoils.
func (p *personalWorld) enqueueAll() (ends []string) {
	checks := "--check=peps,sanctions"
	confirms := marked(marksim.Confirms, time.Second)
	each := func(how string, n int) (tokens []string) {
		for i := range n {
			tokens = append(tokens, p.begin(fmt.Sprintf("%s-%d", how, i), 1, confirms)...)
		}
		return tokens
	}
	ends = append(ends, each("odd", len(p.markSign.failures(""))+len(lies()))...)
	ends = append(ends, each("final", len(p.markSign.finals()))...)
	ends = append(ends, each("recv", len(ways("")))...)
	for _, how := range []string{"plain", "gone", "hopeless", "refusal"} {
		ends = append(ends, p.begin(how, 3, confirms)...)
	}
	ends = append(ends, p.begin("later", 5, marked(marksim.Confirms, 12*time.Second))...)
	for _, o := range []marksim.Outcome{
		marksim.Refuses, marksim.WrongCode, marksim.NeverAnswers, marksim.Expires, marksim.UnknownAccount,
		marksim.NotQualified, marksim.DocumentCorrupted, marksim.Canceled, marksim.CertificateTimeout,
	} {
		ends = append(ends, p.begin("ends-"+string(o), 1, marked(o, 2*time.Second))...)
	}
	p.enqueue(ends, checks)
	mobile := make([]string, 3)
	for i := range mobile {
		mobile[i] = fmt.Sprintf("mobile-%05d", i)
		p.sim.Add(mobile[i], marksim.MobileID, confirms)
	}
	p.enqueue(mobile, checks, "--method=mobile_id")

	// The seals that are spoiled have a host of their own, which is never given a rest.
	own := "--callback=" + strings.Replace(listen(p.t, p.receiver), "127.0.0.1", "localhost", 1) + "/hook"
	for _, how := range []string{"unremovable", "tampered", "swapped"} {
		p.enqueue(p.begin(how, 2, confirms), checks, own)
	}
	p.enqueue(p.begin("forbidden", 2, confirms), checks, "--callback=http://169.254.1.1:8080/x")
	p.enqueue(p.begin("nottls", 2, confirms), checks, "--callback=https"+strings.TrimPrefix(listen(p.t, p.receiver), "http")+"/x")
	broken := p.begin("broken", 1, confirms)
	p.rdb.Set(p.ctx, "identwatch:default:"+broken[0], "not a hash", 0)
	p.enqueue(broken, checks)
	return append(ends, mobile...)
}

// state is what the record says.
func (w *world) state(token string) outcome.State {
	return outcome.State(w.rdb.HGet(w.ctx, "identwatch:default:"+token, "state").Val())
}

// left are the sessions that are still at MarkSign.
func (p *personalWorld) left(tokens []string) (left []string) {
	for _, token := range tokens {
		if s, _ := p.sim.Session(token); s.RemovedAt.IsZero() {
			left = append(left, token)
		}
	}
	return left
}

// showsSomething fails the test where what was seen lacks what it was to be
// searched in.
func (p *personalWorld) showsSomething(seen map[string]string) {
	p.t.Helper()
	states := make([]string, 0, 8)
	for _, state := range []outcome.State{outcome.Following, outcome.Handed, outcome.Delivered, outcome.GivenUp} {
		states = append(states, "state:"+string(state))
	}
	for where, texts := range map[string][]string{
		"Redis":               append(states, ":sealed = "),
		"what Redis was told": {"evalsha", "lua", "default:later-00000"},
		"the files of Redis":  {"default:plain-00000", "default:later-00000"},
		"asynqmon":            {"retry", "completed", "the callback failed", "removing the session failed", "default:plain-00000"},
		"the probes":          {"ok\n", `{"ready":true}`, "identwatch_polls_total"},
		"the commands":        {"enqueued", "alive", "verified"},
		"the logs": {
			"posting the event failed", "delivery given up", "status that is not known", "stopped", "MarkSign rejects",
			"the sealed result cannot be opened", "could not be removed at MarkSign", "OOM command not allowed", "READONLY", "MarkSign is in trouble",
			"TLS failure", "connection refused", "invalid response", "timed out", "redirect not followed", "msg=",
			outcome.ErrSealBroken.Error(),
		},
	} {
		for _, text := range texts {
			if !strings.Contains(seen[where], text) {
				p.t.Errorf("%s lacks %q, so the test shows less than it means to", where, text)
			}
		}
	}
}

// checkErased looks at what is left: a result is erased once it is delivered, and
// kept, sealed, where delivery was given up.
func (p *personalWorld) checkErased(tokens []string) {
	p.t.Helper()
	for _, token := range tokens {
		state := p.state(token)
		sealed := p.rdb.Exists(p.ctx, "identwatch:default:"+token+":sealed").Val() == 1
		want := outcome.Delivered
		if strings.HasPrefix(token, "gone-") || strings.HasPrefix(token, "hopeless-") {
			want = outcome.GivenUp
		}
		if state != want || sealed != (want == outcome.GivenUp) {
			p.t.Errorf("%s is %s in the end, want %s; its result is kept: %v", token, state, want, sealed)
		}
		if p.task(queue.Follow, token) == nil {
			p.t.Errorf("the task of %s is gone", token)
		}
	}
}
