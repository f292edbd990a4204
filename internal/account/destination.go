package account

import (
	"cmp"
	"errors"

	"github.com/identwatch/identwatch/internal/address"
	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/webhook"
)

// Why a result is not posted to its callback URL.
var (
	errHostNotListed = errors.New("the callback's host is not among the account's CALLBACK_HOSTS")
	errOldSeal       = errors.New("an earlier release sealed the result without its callback URL, and nothing vouches for the one in its task")
)

// Destination is the URL that a result is posted to; it may be empty. What was
// sealed with the result decides, because anybody who can write to Redis can change
// the task. For a result of an earlier release the task decides, if something
// vouches for it: its signature, or our own configuration.
func (a *Account) Destination(job session.Job, sealed outcome.Result) (string, error) {
	to := a.callback(job)
	if sealed.Instructions != nil {
		to = cmp.Or(sealed.Instructions.CallbackURL, a.callbackURL)
	}
	switch {
	case to == a.callbackURL:
		return to, nil
	case !a.hosts.Allows(to):
		return "", errHostNotListed
	case sealed.Instructions == nil && !a.IsSigned(job) && !a.hosts.Covers(to):
		return "", errOldSeal
	}
	return to, nil
}

// Hold says what a post came to that may not be made. The result stays sealed, and
// is tried again by the schedule.
func (a *Account) Hold(id string, why error) webhook.Result {
	a.nowhere.Do(func() {
		a.log.Error("a sealed result may not be posted to where its session says; it waits. If that host is yours, name it in the "+
			"account's CALLBACK_HOSTS", "session", id, "because", why)
	})
	return webhook.Result{Cause: webhook.CauseRules, Detail: why.Error()}
}

// Receiver names the host of a session's events, apart for each account.
func (a *Account) Receiver(job session.Job) string {
	return a.name + " " + address.HostOf(a.callback(job))
}

// callback is where a session's events are posted, as far as its task says.
func (a *Account) callback(job session.Job) string { return cmp.Or(job.CallbackURL, a.callbackURL) }
