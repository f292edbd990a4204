// Package account is one MarkSign account at work: its client, the access token,
// the sender of its events, whose tasks it believes and to which hosts its results
// may go. It holds no sessions.
//
// While MarkSign rejects the access token, a circuit lets one call through now and
// then. When MarkSign accepts the account again, the account signals it.
//
// Read account.go (the account, and what it believes), destination.go (where its
// results may go), circuit.go (when it may call), call.go (one call), trouble.go (what the log says while MarkSign is down).
package account

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/identwatch/identwatch/internal/hostlist"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// alertPause is between two log lines about the same trouble.
const alertPause = time.Minute

// Options say what an account is.
type Options struct {
	Field    string          // names these options in errors
	Name     string          // empty: session.DefaultAccount
	MarkSign marksign.Config // required
	Sender   *webhook.Sender // posts its events; required
	// TaskKeys, if there are any, are those that payloads must be signed with.
	TaskKeys []queue.PayloadKey
	// CallbackURL receives the events of sessions that name none.
	CallbackURL string
	// CallbackHosts, if there are any, are the hosts that events may be posted to
	// beside CallbackURL, as hostlist.Parse reads them.
	CallbackHosts []string
	Log           *slog.Logger // required
}

// Account is one MarkSign account. It is safe for concurrent use.
type Account struct {
	name        string
	client      *marksign.Client
	sender      *webhook.Sender
	taskKeys    []queue.PayloadKey
	callbackURL string
	hosts       hostlist.List
	log         *slog.Logger
	trouble     trouble
	unsigned    rate.Sometimes // bounds the log of tasks that are not signed
	nowhere     rate.Sometimes // bounds the log of results that may not be posted
	accepted    func()         // the signal

	// circuit is open while MarkSign rejects the account. A new access token gets
	// a new one, so that answers to the old token count for nothing.
	circuit atomic.Pointer[gobreaker.TwoStepCircuitBreaker[marksign.Answer]]
}

// New makes an Account. The error joins everything that is wrong with the options.
func New(opts Options) (*Account, error) {
	name := cmp.Or(opts.Name, session.DefaultAccount)
	var faults []error
	fault := func(err error) { faults = append(faults, fmt.Errorf("%s: %w", opts.Field, err)) }
	if opts.Sender == nil {
		fault(errors.New("Sender is required"))
	}
	client, err := marksign.New(opts.MarkSign)
	if err != nil {
		fault(err)
	}
	allowed, err := hostlist.Parse(opts.CallbackHosts)
	if err != nil {
		fault(fmt.Errorf("CallbackHosts: %w", err))
	}
	if problem := session.AccountProblem(name); problem != "" {
		fault(fmt.Errorf("the name %s", problem))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	a := &Account{
		name: name, client: client, sender: opts.Sender, taskKeys: opts.TaskKeys,
		callbackURL: opts.CallbackURL, hosts: allowed, log: opts.Log.With("account", name),
		unsigned: rate.Sometimes{Interval: alertPause}, nowhere: rate.Sometimes{Interval: alertPause}, accepted: func() {},
	}
	a.accept()
	return a, nil
}

// Name is the account's name.
func (a *Account) Name() string { return a.name }

// Sender posts the account's events.
func (a *Account) Sender() *webhook.Sender { return a.sender }

// Log names the account in each line.
func (a *Account) Log() *slog.Logger { return a.log }

// OnAccepted has a function called each time MarkSign accepts the account again.
// It is to be called once, before the account makes a call.
func (a *Account) OnAccepted(signal func()) { a.accepted = signal }

// IsSigned reports whether one of the account's keys signed the payload.
func (a *Account) IsSigned(job session.Job) bool { return queue.IsSigned(job, a.taskKeys...) }

// Believes reports whether the payload of a task may be acted on: it is signed, or
// the account asks for no signature.
func (a *Account) Believes(job session.Job) bool { return len(a.taskKeys) == 0 || a.IsSigned(job) }

// WarnUnsigned logs, now and then, that a session waits because nobody signed its task.
func (a *Account) WarnUnsigned(id string) {
	a.unsigned.Do(func() {
		a.log.Warn("a task is not signed with a key of the account's TASK_KEYS; the session waits and is not followed. "+
			"Have whoever enqueued it sign with one of them; if nobody did, somebody else writes to this Redis", "session", id)
	})
}

// SetAccessToken has later calls carry another access token, and signals that the
// account is accepted. The error says that the token is empty; then nothing changes.
func (a *Account) SetAccessToken(token string) error {
	if err := a.client.SetAccessToken(token); err != nil {
		return err
	}
	a.accept()
	a.accepted()
	return nil
}
