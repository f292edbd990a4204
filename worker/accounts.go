package worker

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/identwatch/identwatch/internal/account"
	"github.com/identwatch/identwatch/internal/marksign"
	"github.com/identwatch/identwatch/internal/session"
)

// newAccounts makes the accounts, by name. The error joins all faults.
func newAccounts(opts Options) (map[string]*account.Account, error) {
	all := make(map[string]*account.Account, len(opts.Accounts))
	var faults []error
	for i, o := range opts.Accounts {
		a, err := account.New(account.Options{
			Field: fmt.Sprintf("Accounts[%d]", i), Name: o.Name, Sender: o.Sender, TaskKeys: o.TaskKeys, CallbackURL: o.CallbackURL, CallbackHosts: o.CallbackHosts, Log: opts.Logger,
			MarkSign: marksign.Config{
				BaseURL: o.MarkSign.BaseURL, AccessToken: o.MarkSign.AccessToken, Locale: o.MarkSign.Locale,
				MaxConns: opts.PollWorkers, Timeout: o.MarkSign.Timeout, Transport: o.MarkSign.Transport,
			},
		})
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if all[a.Name()] != nil {
			faults = append(faults, fmt.Errorf("Accounts[%d]: the name %.40q is taken", i, a.Name())) //nolint:staticcheck // the name of a field
		}
		all[a.Name()] = a
	}
	return all, errors.Join(faults...)
}

// SetAccessToken has the account's later calls to MarkSign carry another access
// token, and its sessions polled at once if they waited because the old one was
// rejected. The error says that there is no such account, or that the token is
// empty; then nothing is changed. It is safe for concurrent use.
func (w *Worker) SetAccessToken(account, token string) error {
	a := w.accounts[cmp.Or(account, session.DefaultAccount)]
	if a == nil {
		return fmt.Errorf("there is no account %.40q", account)
	}
	return a.SetAccessToken(token)
}

// Rejected returns the names of the accounts whose access token or configuration
// MarkSign rejects, sorted. Their sessions wait.
func (w *Worker) Rejected() []string {
	all := w.rejected()
	maps.DeleteFunc(all, func(_ string, is bool) bool { return !is })
	return slices.Sorted(maps.Keys(all))
}

// rejected says of each account whether MarkSign rejects it.
func (w *Worker) rejected() map[string]bool {
	all := make(map[string]bool, len(w.accounts))
	for name, a := range w.accounts {
		all[name] = a.IsRejected()
	}
	return all
}
