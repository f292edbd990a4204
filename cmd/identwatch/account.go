package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/identwatch/identwatch/internal/closed"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
	"github.com/identwatch/identwatch/worker"
)

// account is one MarkSign account of the service, with what posts its events.
type account struct {
	config.Account
	sender *webhook.Sender
	signs  webhook.PublicKey // the zero one where no key signs
	tasks  []tasks.PayloadKey
}

// newAccounts makes the accounts of the service. Their events reach nothing of what is shut.
func newAccounts(cfg config.Serve, shut *closed.Addresses) ([]account, error) {
	var all []account
	for _, c := range cfg.Accounts {
		signer, public, err := newSigner(c)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", c.Name, err)
		}
		sender, err := newSender(cfg, signer, shut)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", c.Name, err)
		}
		keys, err := parseTaskKeys(c.TaskKeys)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", c.Name, err)
		}
		all = append(all, account{c, sender, public, keys})
	}
	return all, nil
}

func (a account) options() worker.Account {
	return worker.Account{
		Name: a.Name,
		MarkSign: worker.MarkSign{
			BaseURL: a.MarkSignURL, AccessToken: a.MarkSignAccessToken.Reveal(), Locale: a.MarkSignLocale,
		},
		Sender: a.sender, CallbackURL: a.CallbackURL, CallbackHosts: a.CallbackHosts, TaskKeys: a.tasks,
	}
}

// parseTaskKeys reads the keys that sign payloads, the one that signs first.
func parseTaskKeys(texts config.Secret[[]string]) ([]tasks.PayloadKey, error) {
	var keys []tasks.PayloadKey
	for i, text := range texts.Reveal() {
		key, err := tasks.ParsePayloadKey(text)
		if err != nil {
			return nil, fmt.Errorf("TASK_KEYS, item %d: %w", i+1, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// signingKey is what the service itself signs payloads with; zero if it does not.
func signingKey(keys []tasks.PayloadKey) tasks.PayloadKey {
	if len(keys) == 0 {
		return tasks.PayloadKey{}
	}
	return keys[0]
}

// tokenPause is between two looks whether a file with an access token changed.
// They read it: it may be replaced in ways that no notification tells of.
const tokenPause = 5 * time.Second

// tokens keeps the access tokens that are in files up to date.
type tokens struct {
	accounts []account
	set      func(account, token string) error
	log      *slog.Logger
	known    []string // of each account
	told     []string // the last trouble with its file
}

func newTokens(accounts []account, set func(account, token string) error, log *slog.Logger) *tokens {
	t := &tokens{accounts: accounts, set: set, log: log, told: make([]string, len(accounts))}
	for _, a := range accounts {
		t.known = append(t.known, a.MarkSignAccessToken.Reveal())
	}
	return t
}

// watch looks at the files again and again, and at each signal, until ctx ends.
func (t *tokens) watch(ctx context.Context, hangups <-chan os.Signal) {
	tick := time.NewTicker(tokenPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			t.log.Info("reading the access tokens again, those that are in files")
			t.read()
		case <-tick.C:
			t.read()
		}
	}
}

// read takes what has changed. A file that cannot be used is told of once.
func (t *tokens) read() {
	for i, a := range t.accounts {
		token, hasFile, err := a.ReadAccessToken()
		if !hasFile {
			continue
		}
		if err == nil && token.Reveal() != t.known[i] {
			if err = t.set(a.Name, token.Reveal()); err == nil {
				t.known[i] = token.Reveal()
				t.log.Info("the access token was read again", "account", a.Name)
			}
		}
		t.tell(i, err)
	}
}

func (t *tokens) tell(i int, err error) {
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != "" && trouble != t.told[i] {
		t.log.Error("the access token cannot be read again; the old one is used on", "account", t.accounts[i].Name, "because", trouble)
	}
	t.told[i] = trouble
}
