package account

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// room is an account whose MarkSign the test answers for, in virtual time. One
// goroutine calls.
type room struct {
	*Account
	t        *testing.T
	says     string // the body of MarkSign's answers
	calls    int
	tokens   string // the bodies of the calls
	accepted int    // signals that the account is accepted again
	logs     *bytes.Buffer
}

const (
	waiting   = `{"status":"waiting"}`
	rejected  = `{"status":"error","error_code":40003}`
	misset    = `{"status":"error","error_code":50004}`
	down      = `<html>`
	refused   = `{"status":"error","error_code":40020}`
	removed   = `{"status":"ok"}`
	noRemoval = `{"status":"error"}`
)

var job = session.Job{Account: session.DefaultAccount, Token: "a", Method: session.SmartID}

func (r *room) RoundTrip(req *http.Request) (*http.Response, error) {
	r.calls++
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.tokens += string(body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(r.says)), Request: req}, nil
}

func inRoom(t *testing.T, test func(r *room)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &room{t: t, says: waiting, logs: new(bytes.Buffer)}
		r.Account = r.account(Options{})
		r.OnAccepted(func() { r.accepted++ })
		test(r)
	})
}

func (r *room) account(opts Options) *Account {
	r.t.Helper()
	opts.MarkSign = marksign.Config{BaseURL: "https://marksign.example", AccessToken: "first-token", Transport: r}
	opts.Sender, opts.Log = sender(r.t), slog.New(slog.NewTextHandler(r.logs, nil))
	a, err := New(opts)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func sender(t *testing.T) *webhook.Sender {
	t.Helper()
	signer, err := webhook.NewSigner([]webhook.Secret{webhook.NewSecret()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := webhook.NewSender(webhook.SenderConfig{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// poll asks MarkSign once if it may, and reports for how long to wait if not.
func (r *room) poll(says string) (wait time.Duration) {
	p, wait := r.Permit()
	defer p.Release()
	if wait == 0 {
		r.says = says
		p.Status(r.t.Context(), job)
	}
	return wait
}

func (r *room) reject() {
	r.t.Helper()
	for range rejections {
		if wait := r.poll(rejected); wait > 0 {
			r.t.Fatalf("rejected too soon: %v", wait)
		}
	}
}

func (r *room) logged(text string) int { return strings.Count(r.logs.String(), text) }

func TestNew_NamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		Field: "Accounts[1]", Name: "9lives", CallbackHosts: []string{"https://a.example"}, Log: slog.New(slog.DiscardHandler),
		MarkSign: marksign.Config{BaseURL: "nowhere", AccessToken: "secret-MARKED"},
	})
	if err == nil {
		t.Fatal("it takes everything")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{"Sender", "BaseURL", "CallbackHosts", "the name"} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], "Accounts[1]: ") || !strings.Contains(lines[i], want) {
			t.Errorf("fault %d of %q does not name %s", i, err, want)
		}
	}
	if strings.Contains(err.Error(), "MARKED") {
		t.Errorf("it shows the access token: %v", err)
	}
}

func TestNew_NamesTheDefaultAccount(t *testing.T) {
	inRoom(t, func(r *room) {
		if name, other := r.Name(), r.account(Options{Name: "shop"}).Name(); name != session.DefaultAccount || other != "shop" {
			t.Errorf("%q and %q", name, other)
		}
	})
}

func TestBelieves_WhatOneOfTheKeysSigned(t *testing.T) {
	inRoom(t, func(r *room) {
		key, old, other := queue.NewPayloadKey(), queue.NewPayloadKey(), queue.NewPayloadKey()
		open, closed := r.account(Options{}), r.account(Options{TaskKeys: []queue.PayloadKey{key, old}})
		for name, c := range map[string]struct {
			job          session.Job
			open, signed bool
		}{
			"not signed": {job, true, false}, "signed": {queue.Sign(job, key), true, true}, "signed before": {queue.Sign(job, old), true, true},
			"signed by another": {queue.Sign(job, other), true, false},
		} {
			if open.Believes(c.job) != c.open || open.IsSigned(c.job) || closed.Believes(c.job) != c.signed || closed.IsSigned(c.job) != c.signed {
				t.Errorf("%s: without keys %v, with keys %v", name, open.Believes(c.job), closed.Believes(c.job))
			}
		}
	})
}

func TestWarnUnsigned_WarnsOnceAMinute(t *testing.T) {
	inRoom(t, func(r *room) {
		for range 3 {
			r.WarnUnsigned("default:a")
		}
		time.Sleep(alertPause)
		r.WarnUnsigned("default:b")
		if n := r.logged("is not signed"); n != 2 || r.logged("default:a") != 1 || r.logged("default:b") != 1 {
			t.Errorf("the log:\n%s", r.logs)
		}
	})
}

// Three rejections in a row, and nothing less.
func TestCircuit_OpensAfterRejectionsInARow(t *testing.T) {
	for name, c := range map[string]struct {
		answers string // of polls, one a letter
		open    bool
	}{
		"three":                      {"rrr", true},
		"two":                        {"rr", false},
		"an answer between":          {"rrwrr", false},
		"a final answer between":     {"rrfrr", false},
		"trouble between":            {"rdrdr", true}, // says nothing of the access token
		"a misconfiguration between": {"rmrmr", true},
		"trouble alone":              {"dddddddddd", false},
		"a misconfiguration alone":   {"mmmmmmmmmm", false},
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(r *room) {
				for _, answer := range c.answers {
					r.poll(map[rune]string{'r': rejected, 'w': waiting, 'f': refused, 'd': down, 'm': misset}[answer])
				}
				wait := r.poll(waiting)
				if r.IsRejected() != c.open || (wait > 0) != c.open {
					t.Errorf("rejected: %v, the next call waits %v", r.IsRejected(), wait)
				}
				if n := r.logged("level=ERROR"); (n == 1) != c.open {
					t.Errorf("the log:\n%s", r.logs)
				}
			})
		})
	}
}

// Removals and polls tell one circuit.
func TestCircuit_HearsOfRemovals(t *testing.T) {
	for name, c := range map[string]struct {
		between string
		open    bool
	}{"removed": {removed, false}, "refused": {noRemoval, true}, "down": {down, true}, "rejected": {rejected, true}} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(r *room) {
				remove := func(says string) {
					p, _ := r.Permit()
					defer p.Release()
					r.says = says
					p.Remove(r.t.Context(), job)
				}
				r.poll(rejected)
				remove(rejected)
				remove(c.between)
				r.poll(rejected)
				if r.IsRejected() != c.open {
					t.Errorf("rejected: %v", r.IsRejected())
				}
			})
		})
	}
}

func TestCircuit_LetsOneCallThroughInFiveSeconds(t *testing.T) {
	inRoom(t, func(r *room) {
		r.reject()
		r.calls = 0
		for range 600 { // a minute
			if wait := r.poll(rejected); wait != 0 && (wait < rejectedPause || wait >= 2*rejectedPause) {
				t.Fatalf("a call waits %v", wait)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if r.calls < 10 || r.calls > 12 {
			t.Errorf("%d calls in a minute", r.calls)
		}
		if n := r.logged("level=ERROR"); n < 1 || n > 2 || r.accepted != 0 {
			t.Errorf("%d signals, the log:\n%s", r.accepted, r.logs)
		}
	})
}

// While one call tries, all others wait.
func TestCircuit_TriesWithOneCallAtATime(t *testing.T) {
	inRoom(t, func(r *room) {
		r.reject()
		time.Sleep(rejectedPause + time.Second)
		first, wait := r.Permit()
		if _, other := r.Permit(); wait != 0 || other == 0 {
			t.Errorf("the first waits %v, the other %v", wait, other)
		}
		first.Release() // it made no call
		if !r.IsRejected() || r.accepted != 0 {
			t.Errorf("no call was made; rejected: %v, %d signals", r.IsRejected(), r.accepted)
		}
		if wait := r.poll(waiting); wait != 0 || r.IsRejected() {
			t.Errorf("after it was given back, a call waits %v", wait)
		}
	})
}

// What says nothing of the access token neither opens nor closes the circuit.
func TestCircuit_StaysOpenWithoutAWord(t *testing.T) {
	for name, says := range map[string]string{"down": down, "misconfigured": misset} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(r *room) {
				r.reject()
				time.Sleep(rejectedPause + time.Second)
				for range 3 { // each tries at once: nothing was learned
					if wait := r.poll(says); wait != 0 || !r.IsRejected() {
						t.Fatalf("a call waits %v; rejected: %v", wait, r.IsRejected())
					}
				}
				first, _ := r.Permit()
				if _, wait := r.Permit(); wait == 0 {
					t.Error("two calls try at once")
				}
				first.Release()
				r.poll(waiting)
				if r.IsRejected() || r.accepted != 1 {
					t.Errorf("rejected: %v, %d signals", r.IsRejected(), r.accepted)
				}
			})
		})
	}
}

func TestCircuit_SignalsThatTheAccountIsAcceptedAgain(t *testing.T) {
	inRoom(t, func(r *room) {
		r.poll(waiting)
		for i := range 3 {
			r.reject()
			time.Sleep(rejectedPause + time.Second)
			if r.accepted != i {
				t.Errorf("%d signals before it is accepted for the time %d", r.accepted, i+1)
			}
			r.poll(refused)
			r.poll(waiting)
			if r.accepted != i+1 || r.IsRejected() {
				t.Errorf("%d signals, rejected: %v", r.accepted, r.IsRejected())
			}
		}
		if r.logged("level=ERROR") != 3 || r.logged("again; its sessions go on") != 3 {
			t.Errorf("the log:\n%s", r.logs)
		}
	})
}

// A call is made all the same if the caller has to, and tells the circuit nothing.
func TestPermit_CallsAllTheSame(t *testing.T) {
	inRoom(t, func(r *room) {
		r.reject()
		r.calls, r.says = 0, waiting
		p, wait := r.Permit()
		answer := p.Status(r.t.Context(), job)
		p.Release()
		if wait == 0 || answer.Verdict != marksign.Pending || r.calls != 1 || !r.IsRejected() || r.accepted != 0 {
			t.Errorf("%v after %d calls; rejected: %v", answer.Verdict, r.calls, r.IsRejected())
		}
	})
}

func TestSetAccessToken_EndsTheRejection(t *testing.T) {
	inRoom(t, func(r *room) {
		r.reject()
		if err := r.SetAccessToken(" "); err == nil || !r.IsRejected() || r.accepted != 0 {
			t.Errorf("an empty token: %v, rejected: %v, %d signals", err, r.IsRejected(), r.accepted)
		}
		if err := r.SetAccessToken("second-token"); err != nil || r.IsRejected() || r.accepted != 1 {
			t.Errorf("another token: %v, rejected: %v, %d signals", err, r.IsRejected(), r.accepted)
		}
		r.tokens = ""
		if wait := r.poll(waiting); wait != 0 || !strings.Contains(r.tokens, "second-token") || strings.Contains(r.tokens, "first-token") {
			t.Errorf("a call waits %v, and carries %s", wait, r.tokens)
		}
	})
}

// A slow answer to the old token says nothing of the new one.
func TestSetAccessToken_ForgetsAnswersToTheOldOne(t *testing.T) {
	inRoom(t, func(r *room) {
		var old []*Permit
		for range rejections {
			p, _ := r.Permit()
			old = append(old, p)
		}
		if err := r.SetAccessToken("second-token"); err != nil {
			t.Fatal(err)
		}
		r.says = rejected
		for _, p := range old {
			p.Status(r.t.Context(), job)
			p.Release()
		}
		if r.IsRejected() || r.logged("level=ERROR") != 0 {
			t.Errorf("rejected: %v; the log:\n%s", r.IsRejected(), r.logs)
		}
	})
}

func TestSaw_LogsTroubleOnceAMinuteAndItsEnd(t *testing.T) {
	inRoom(t, func(r *room) {
		const begins, ends = "gives no usable answer", "answers again"
		trouble := marksign.Answer{Verdict: marksign.Temporary, Detail: "HTTP 503"}
		r.Saw(marksign.Answer{})
		for range 90 { // two lines: at once, and after a minute
			r.Saw(trouble)
			r.Saw(marksign.Answer{Verdict: marksign.Rejected}) // is the circuit's to report
			time.Sleep(time.Second)
		}
		if r.logged(begins) != 2 || r.logged(ends) != 0 || r.logged("for=60 failed_polls=61") != 1 {
			t.Errorf("the log:\n%s", r.logs)
		}
		r.Saw(marksign.Answer{Verdict: marksign.NotFound})
		r.Saw(marksign.Answer{})
		if r.logged(ends) != 1 || r.logged("after=90 failed_polls=90") != 1 {
			t.Errorf("the log:\n%s", r.logs)
		}
		r.Saw(trouble) // too soon after the last line
		r.Saw(marksign.Answer{})
		if r.logged(begins) != 2 || r.logged(ends) != 1 {
			t.Errorf("short trouble is logged:\n%s", r.logs)
		}
		time.Sleep(alertPause)
		r.Saw(trouble)
		r.Saw(marksign.Answer{})
		if r.logged("after=0 failed_polls=1") != 1 {
			t.Errorf("the next trouble is not counted by itself:\n%s", r.logs)
		}
	})
}

const (
	own    = "https://own.example/hook"
	listed = "https://listed.example/hook"
	thief  = "https://thief.example/hook"
)

// What was sealed decides where a result goes. Whoever can write to Redis can change
// the task alone.
func TestDestination_IsWhatWasSealed(t *testing.T) {
	key := queue.NewPayloadKey()
	with := func(url string) session.Job {
		j := job
		j.CallbackURL = url
		return j
	}
	sealedTo := func(url string) outcome.Result {
		return outcome.Result{Instructions: &outcome.Instructions{CallbackURL: url}}
	}
	var old outcome.Result // of an earlier release, which sealed no instructions
	hosts := []string{"listed.example"}
	for name, c := range map[string]struct {
		own    string
		hosts  []string
		job    session.Job
		sealed outcome.Result
		want   string
		err    error
	}{
		"its own":                       {own, nil, job, sealedTo(""), own, nil},
		"none":                          {"", nil, job, sealedTo(""), "", nil},
		"its own, with a list":          {own, hosts, job, sealedTo(""), own, nil},
		"sealed":                        {own, nil, with(listed), sealedTo(listed), listed, nil},
		"sealed, and the task changed":  {own, nil, with(thief), sealedTo(listed), listed, nil},
		"its own, and the task changed": {own, nil, with(thief), sealedTo(""), own, nil},
		"its own, and the task changed to a list": {own, hosts, with(listed), sealedTo(""), own, nil},
		"sealed and listed":                       {own, hosts, job, sealedTo(listed), listed, nil},
		"sealed and not listed":                   {own, hosts, job, sealedTo(thief), "", errHostNotListed},
		"old, its own":                            {own, nil, job, old, own, nil},
		"old, not vouched for":                    {own, nil, with(thief), old, "", errOldSeal},
		"old, signed":                             {own, nil, queue.Sign(with(listed), key), old, listed, nil},
		"old, changed since it was signed":        {own, nil, tampered(queue.Sign(with(listed), key)), old, "", errOldSeal},
		"old, listed":                             {own, hosts, with(listed), old, listed, nil},
		"old, not listed":                         {own, hosts, with(thief), old, "", errHostNotListed},
		"old, signed and not listed":              {own, hosts, queue.Sign(with(thief), key), old, "", errHostNotListed},
	} {
		t.Run(name, func(t *testing.T) {
			inRoom(t, func(r *room) {
				a := r.account(Options{CallbackURL: c.own, CallbackHosts: c.hosts, TaskKeys: []queue.PayloadKey{key}})
				if got, err := a.Destination(c.job, c.sealed); got != c.want || !errors.Is(err, c.err) {
					t.Errorf("%q, %v; want %q, %v", got, err, c.want, c.err)
				}
			})
		})
	}
}

func tampered(j session.Job) session.Job {
	j.CallbackURL = thief
	return j
}

func TestHold_SaysWhyAndLogsItOnceAMinute(t *testing.T) {
	inRoom(t, func(r *room) {
		for range 3 {
			if got := r.Hold("default:a", errHostNotListed); got.Cause != webhook.CauseRules || got.Detail != errHostNotListed.Error() {
				t.Errorf("%+v", got)
			}
		}
		time.Sleep(alertPause)
		r.Hold("default:a", errOldSeal)
		if r.logged("level=ERROR") != 2 {
			t.Errorf("the log:\n%s", r.logs)
		}
	})
}

// Two accounts with one receiver do not slow each other down.
func TestReceiver_IsAHostOfOneAccount(t *testing.T) {
	inRoom(t, func(r *room) {
		a, shop := r.account(Options{CallbackURL: own}), r.account(Options{Name: "shop", CallbackURL: own})
		elsewhere := job
		elsewhere.CallbackURL = "https://Listed.example:8443/other?secret"
		for _, c := range []struct {
			account *Account
			job     session.Job
			want    string
		}{{a, job, "default own.example"}, {shop, job, "shop own.example"}, {a, elsewhere, "default listed.example:8443"}} {
			if got := c.account.Receiver(c.job); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		}
	})
}
