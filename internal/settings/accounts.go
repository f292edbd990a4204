package settings

import (
	"fmt"

	"github.com/identwatch/identwatch/internal/closed"
	"github.com/identwatch/identwatch/internal/config"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// Account is one MarkSign account, with what signs and posts its events.
type Account struct {
	config.Account
	Signer    *webhook.Signer
	Sender    *webhook.Sender
	PublicKey webhook.PublicKey  // the zero one if no key signs
	TaskKeys  []tasks.PayloadKey // the one that signs first; none if tasks are not signed
}

// NewAccounts makes the accounts that the configuration names, in its order. Their
// events reach nothing of what is shut. The error names the account.
func NewAccounts(cfg config.Serve, shut *closed.Addresses) ([]Account, error) {
	var all []Account
	for _, c := range cfg.Accounts {
		signer, public, err := newSigner(c)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", c.Name, err)
		}
		sender, err := newSender(cfg, signer, shut)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", c.Name, err)
		}
		keys, err := ParseTaskKeys(c.TaskKeys)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", c.Name, err)
		}
		all = append(all, Account{c, signer, sender, public, keys})
	}
	return all, nil
}

// ParseTaskKeys reads the keys that sign payloads, the one that signs first. Its error
// names an item, and shows nothing of it.
func ParseTaskKeys(texts config.Secret[[]string]) ([]tasks.PayloadKey, error) {
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

// SigningKey is what identwatch itself signs payloads with; zero if it does not.
func SigningKey(keys []tasks.PayloadKey) tasks.PayloadKey {
	if len(keys) == 0 {
		return tasks.PayloadKey{}
	}
	return keys[0]
}
