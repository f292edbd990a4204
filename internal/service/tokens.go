package service

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/identwatch/identwatch/internal/settings"
)

// tokenPause is between two looks whether a file with an access token changed.
// They read the file, because some ways to replace it send no notification.
const tokenPause = 5 * time.Second

// tokens keeps the access tokens that are in files up to date.
type tokens struct {
	accounts []settings.Account
	set      func(account, token string) error
	log      *slog.Logger
	known    []string // of each account
	told     []string // the last trouble with its file
}

func newTokens(accounts []settings.Account, set func(account, token string) error, log *slog.Logger) *tokens {
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

// read takes what has changed. It logs once that a file cannot be used.
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
