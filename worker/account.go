package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/identwatch/identwatch/internal/hostlist"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/queue"
	sess "github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

const (
	// rejections in a row, without another answer in between, pause an account.
	rejections = 3
	// rejectedPause is between two calls that try whether MarkSign takes the
	// account's access token again.
	rejectedPause = 5 * time.Second
	// alertPause is between two log lines that say so.
	alertPause = time.Minute
)

var errRejected = errors.New("MarkSign rejects the account's access token")

// accounts are a worker's, by name.
type accounts map[string]*account

// account is one MarkSign account at work. It is safe for concurrent use.
type account struct {
	name        string
	upstream    *marksign.Client
	sender      *webhook.Sender
	callbackURL string // of sessions that name none
	hosts       hostlist.List
	taskKeys    []tasks.PayloadKey
	unsigned    rate.Sometimes // bounds the log of tasks that are not signed
	nowhere     rate.Sometimes // bounds the log of results that may not be posted
	log         *slog.Logger
	trouble     trouble
	// resumed is called when MarkSign takes the account's polls again.
	resumed func(*account)

	// circuit is open while MarkSign rejects the account. A new access token gets
	// a new one, so that answers to the old token count for nothing.
	circuit atomic.Pointer[gobreaker.TwoStepCircuitBreaker[marksign.Answer]]
}

func newAccounts(opts Options) (accounts, error) {
	all := make(accounts, len(opts.Accounts))
	var faults []error
	for i, o := range opts.Accounts {
		name := cmp.Or(o.Name, sess.DefaultAccount)
		upstream, err := marksign.New(marksign.Config{
			BaseURL: o.MarkSign.BaseURL, AccessToken: o.MarkSign.AccessToken, Locale: o.MarkSign.Locale,
			MaxConns: opts.PollWorkers, Timeout: o.MarkSign.Timeout, Transport: o.MarkSign.Transport,
		})
		if err != nil {
			faults = append(faults, fmt.Errorf("Accounts[%d]: %w", i, err)) //nolint:staticcheck // the name of a field
			continue
		}
		allowed, err := hostlist.Parse(o.CallbackHosts)
		if err != nil {
			faults = append(faults, fmt.Errorf("Accounts[%d]: CallbackHosts: %w", i, err)) //nolint:staticcheck // the name of a field
		}
		if problem := sess.AccountProblem(name); problem != "" {
			faults = append(faults, fmt.Errorf("Accounts[%d]: the name %s", i, problem)) //nolint:staticcheck // the name of a field
		}
		if all[name] != nil {
			faults = append(faults, fmt.Errorf("Accounts[%d]: the name %.40q is taken", i, name)) //nolint:staticcheck // the name of a field
		}
		all[name] = &account{
			name: name, upstream: upstream, sender: o.Sender, callbackURL: o.CallbackURL,
			taskKeys: o.TaskKeys, unsigned: rate.Sometimes{Interval: alertPause}, nowhere: rate.Sometimes{Interval: alertPause},
			hosts: allowed, log: opts.Logger.With("account", name),
		}
		all[name].accept()
	}
	return all, errors.Join(faults...)
}

// of returns the account of a session, or nil.
func (all accounts) of(s sess.Job) *account { return all[s.Account] }

// waitForAccount leaves a task to a worker that knows its account. Sessions that
// nobody would ever take are told of.
func (w *Worker) waitForAccount(ctx context.Context, job sess.Job) error {
	if _, err := w.records.Keep(ctx, outcome.Of(job)); err != nil {
		w.log.Debug("keeping a record failed", "session", job.ID(), "error", err)
	}
	w.metrics.unknownAccount.Inc()
	w.unknownAccounts.Do(func() {
		w.log.Warn("sessions wait for an account that this worker does not have; name it in ACCOUNTS, or have them enqueued with another", "account", job.Account)
	})
	return errAccount()
}

// vouches reports whether the payload of a task may be believed: it is signed, or
// the account asks for no signature.
func (a *account) vouches(job sess.Job) bool {
	return len(a.taskKeys) == 0 || queue.IsSigned(job, a.taskKeys...)
}

// refuseUnsigned leaves a session waiting whose task is not signed: what nobody
// signed is not acted on, and what was forgotten when the keys were set up is not lost.
func (w *Worker) refuseUnsigned(a *account, job sess.Job) error {
	w.metrics.refusedTasks.WithLabelValues(a.name).Inc()
	a.unsigned.Do(func() {
		a.log.Warn("a task is not signed with a key of the account's TASK_KEYS; the session waits and is not followed. "+
			"Have whoever enqueued it sign with one of them; if nobody did, somebody else writes to this Redis", "session", job.ID())
	})
	return errUnsigned()
}

// Why a result is not posted to its callback URL.
var (
	errHostNotListed = errors.New("the callback's host is not among the account's CALLBACK_HOSTS")
	errOldSeal       = errors.New("an earlier release sealed the result without its callback URL, and nothing vouches for the one in its task")
)

// destination is where a result is posted. What was sealed with it decides, because
// anybody who can write to Redis can change the task. Of a result of an earlier
// release the task decides, if something vouches for it: its signature, or our own
// configuration.
func (a *account) destination(job sess.Job, sealed outcome.Result) (string, error) {
	url := a.callback(job)
	if sealed.Instructions != nil {
		url = cmp.Or(sealed.Instructions.CallbackURL, a.callbackURL)
	}
	switch {
	case url == a.callbackURL:
		return url, nil
	case !a.hosts.Allows(url):
		return "", errHostNotListed
	case sealed.Instructions == nil && !queue.IsSigned(job, a.taskKeys...) && !a.hosts.Covers(url):
		return "", errOldSeal
	}
	return url, nil
}

// hold says what to do about a result that may not be posted. It stays sealed, and
// is tried again by the schedule.
func (a *account) hold(session string, why error) webhook.Result {
	a.nowhere.Do(func() {
		a.log.Error("a sealed result may not be posted to where its session says; it waits. If that host is yours, name it in the "+
			"account's CALLBACK_HOSTS", "session", session, "because", why)
	})
	return webhook.Result{Cause: webhook.CauseRules, Detail: why.Error()}
}

// callback is where a session's events are posted, as far as its task says.
func (a *account) callback(s sess.Job) string { return cmp.Or(s.CallbackURL, a.callbackURL) }

// receiver names the host of a session's events for hosts.
func (a *account) receiver(s sess.Job) string { return a.name + " " + hostOf(a.callback(s)) }

// accept begins anew with an account, as with one that was never rejected.
func (a *account) accept() {
	var circuit *gobreaker.TwoStepCircuitBreaker[marksign.Answer]
	var alerted time.Time
	circuit = gobreaker.NewTwoStepCircuitBreaker[marksign.Answer](gobreaker.Settings{
		Timeout:     rejectedPause,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= rejections },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoWord) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if circuit == a.circuit.Load() {
				alerted = a.changed(to, alerted)
			}
		},
	})
	a.circuit.Store(circuit)
}

// changed is called by the circuit, under its lock. It takes when the rejection
// was last logged, and returns it.
func (a *account) changed(to gobreaker.State, alerted time.Time) time.Time {
	switch {
	case to == gobreaker.StateClosed:
		a.log.Info("MarkSign takes the account's access token again; its sessions go on")
		a.resumed(a)
		return time.Time{}
	case to == gobreaker.StateOpen && time.Since(alerted) >= alertPause:
		a.log.Error("MarkSign rejects the account's access token; its sessions wait until that is fixed")
		return time.Now()
	}
	return alerted
}

// rejected reports whether MarkSign rejects the account, as far as is known.
func (a *account) rejected() bool { return a.circuit.Load().State() != gobreaker.StateClosed }

// callPermit is the right to one call to MarkSign for an account.
type callPermit struct {
	done func(error) // of the circuit; nil once it was told, and where it allowed none
}

// permit allows one call, or says how long to wait because the account is
// rejected. While it is, one call each rejectedPause is allowed.
func (a *account) permit() (p *callPermit, wait time.Duration) {
	done, err := a.circuit.Load().Allow()
	if err != nil {
		return &callPermit{}, rejectedPause + upTo(rejectedPause)
	}
	return &callPermit{done}, 0
}

var errNoWord = errors.New("no word about the access token")

// report says what the poll was answered.
func (p *callPermit) report(a marksign.Answer) {
	switch {
	case a.AccessRejected():
		p.tell(errRejected)
	case a.Verdict == marksign.Temporary, a.Verdict == marksign.Rejected:
		p.tell(errNoWord)
	default:
		p.tell(nil)
	}
}

// reportRemoval says what the DELETE was answered.
func (p *callPermit) reportRemoval(a marksign.RemoveAnswer) {
	switch a.Verdict {
	case marksign.RemoveRejected:
		p.tell(errRejected)
	case marksign.Removed:
		p.tell(nil)
	default: // an error of a removal has no documented code
		p.tell(errNoWord)
	}
}

// release gives a permit back for which nothing was reported.
func (p *callPermit) release() { p.tell(errNoWord) }

func (p *callPermit) tell(word error) {
	if p.done != nil {
		p.done(word)
		p.done = nil
	}
}

// SetAccessToken has the account's later calls to MarkSign carry another access
// token, and its sessions polled at once where they waited because the old one
// was rejected. The error says that there is no such account, or that the token
// is empty; then nothing is changed. It is safe for concurrent use.
func (w *Worker) SetAccessToken(account, token string) error {
	a := w.accounts[cmp.Or(account, sess.DefaultAccount)]
	if a == nil {
		return fmt.Errorf("there is no account %.40q", account)
	}
	if err := a.upstream.SetAccessToken(token); err != nil {
		return err
	}
	a.accept()
	w.resumeAccount(a)
	return nil
}

// Rejected returns the names of the accounts whose access token or configuration
// MarkSign rejects, sorted. Their sessions wait.
func (w *Worker) Rejected() []string {
	var names []string
	for name, a := range w.accounts {
		if a.rejected() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
