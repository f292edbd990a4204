package api

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/hostlist"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// keyPrefix makes a key known for what it is, to people and to scanners of
// source code.
const keyPrefix = "iwk_"

// NewKey makes an API key: iwk_ and 32 random bytes in base64url.
func NewKey() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails: see crypto/rand
	return keyPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// HashKey is what the service is configured with. A key is random, so that one
// round of SHA-256 keeps it secret.
func HashKey(key string) [32]byte { return sha256.Sum256([]byte(key)) }

// account is an [Account] with the bound of its test events.
type account struct {
	name        string
	callbackURL string
	sender      *webhook.Sender
	client      *tasks.Client
	hosts       hostlist.List
	allowed     allowance
	tests       chan struct{} // one for each test event that may be under way
}

// keyring finds the account of a key.
type keyring []holder

// holder is who holds a key: an application of an account.
type holder struct {
	hash    [32]byte
	account *account
	slots   *slots
}

func newKeyring(accounts []Account, rdb redis.UniversalClient, shards int, perSecond float64) (keyring, error) {
	var keys keyring
	named := map[string]bool{}
	owner := map[[32]byte]string{}
	for _, a := range accounts {
		switch {
		case a.Name == "":
			return nil, errors.New("api: an account has no name")
		case named[a.Name]:
			return nil, fmt.Errorf("api: the account %s is there twice", a.Name)
		case a.Sender == nil:
			return nil, fmt.Errorf("api: the account %s has no sender", a.Name)
		}
		named[a.Name] = true
		client, err := tasks.NewClient(tasks.ClientConfig{Redis: rdb, Shards: shards, Account: a.Name, PayloadKey: a.PayloadKey})
		if err != nil {
			return nil, err
		}
		hosts, err := hostlist.Parse(a.CallbackHosts)
		if err != nil {
			return nil, fmt.Errorf("api: the callback hosts of account %s: %w", a.Name, err)
		}
		held := &account{a.Name, a.CallbackURL, a.Sender, client, hosts, newAllowance(perSecond), make(chan struct{}, maxTestEvents)}
		for _, hash := range a.Keys {
			if other, taken := owner[hash]; taken && other != a.Name {
				return nil, fmt.Errorf("api: the accounts %s and %s have the same API key: a key belongs to one", other, a.Name)
			}
			owner[hash] = a.Name
			keys = append(keys, holder{hash, held, newSlots()})
		}
	}
	return keys, nil
}

// find returns the holder of a key, or nil. It compares with every key in
// constant time, and goes on after a match.
func (k keyring) find(key string) *holder {
	hash := HashKey(key)
	found := -1
	for i, held := range k {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(hash[:], held.hash[:]), i, found)
	}
	if found < 0 {
		return nil
	}
	return &k[found]
}

// authenticate returns who holds the key of a request.
func (k keyring) authenticate(r *http.Request) (*holder, *Problem) {
	sent := r.Header.Values("Authorization")
	if len(sent) == 0 {
		return nil, errNoKey
	}
	scheme, key, _ := strings.Cut(sent[0], " ")
	if len(sent) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return nil, errNoKey
	}
	if found := k.find(strings.TrimSpace(key)); found != nil {
		return found, nil
	}
	return nil, errWrongKey
}
