package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A signed payload has version 2, and every other version 1, so that workers of
// the release before still read what is not signed. A release reads the newest
// version and the one before it.
const (
	payloadVersion       = 1
	payloadVersionSigned = 2
)

// ErrNewerPayload says that a task was written by a later release than this
// one; the task is sound, and a later worker can run it.
var ErrNewerPayload = errors.New("the task was enqueued by a later release of identwatch; upgrade this worker")

// payload is the JSON of a task, the same for all three task types.
type payload struct {
	Version     int       `json:"v"`
	Token       string    `json:"token"`
	Method      Method    `json:"method"`
	Locale      string    `json:"locale,omitempty"`
	CallbackURL string    `json:"callback_url,omitempty"`
	Reference   string    `json:"reference,omitempty"`
	Checks      []Check   `json:"checks,omitempty"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	Account     string    `json:"account"`
	Retention   int64     `json:"retention_s"`
	Signature   string    `json:"signature,omitempty"`
}

// Followed is a decoded task: the session, and for how long its finished task
// is kept. It keeps the signature of its payload, which the tasks made of it carry
// too, and is to be changed no more.
type Followed struct {
	Session
	Retention time.Duration

	signature string
}

func encode(f Followed) ([]byte, error) {
	if err := f.validateStored(); err != nil {
		return nil, err
	}
	version := payloadVersion
	if f.signature != "" {
		version = payloadVersionSigned
	}
	return json.Marshal(payload{
		Version: version, Token: f.Token, Method: f.Method, Locale: f.Locale,
		CallbackURL: f.CallbackURL, Reference: f.Reference, Checks: f.Checks,
		StartedAt: f.StartedAt.UTC(), Account: f.account(), Retention: int64(f.Retention / time.Second),
		Signature: f.signature,
	})
}

// Decode reads the payload of a task of any of the three types. The session
// that it returns is valid and names its account. It returns ErrNewerPayload
// for a version that it does not know yet, and no error holds the payload's text.
func Decode(data []byte) (Followed, error) {
	var version struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return Followed{}, errors.New("the task's payload is not a JSON object with a version")
	}
	if version.Version > payloadVersionSigned {
		return Followed{}, ErrNewerPayload
	}
	if version.Version != payloadVersion && version.Version != payloadVersionSigned {
		return Followed{}, fmt.Errorf("the task's payload has version %d, which this release no longer reads", version.Version)
	}
	var p payload
	if err := json.Unmarshal(data, &p); err != nil {
		return Followed{}, errors.New("the task's payload has a field of the wrong type")
	}
	s := Session{
		Token: p.Token, Method: p.Method, Locale: p.Locale, CallbackURL: p.CallbackURL,
		Reference: p.Reference, Checks: p.Checks, StartedAt: p.StartedAt, Account: p.Account,
	}
	s.Account = s.account()
	if err := s.validateStored(); err != nil {
		return Followed{}, err
	}
	return Followed{s, boundRetention(p.Retention), p.Signature}, nil
}

// validateStored is Validate for what Redis holds. Earlier releases enqueued sessions
// whose account begins with a digit: such a task waits, as one of any account that
// no worker has, and is not archived.
func (s Session) validateStored() error {
	if s.Account != "" && s.Account[0] >= '0' && s.Account[0] <= '9' {
		s.Account = "a" + s.Account[1:]
	}
	return s.Validate()
}

// boundRetention keeps the arithmetic of a hand-made payload within bounds.
func boundRetention(seconds int64) time.Duration {
	bounded := min(max(seconds, int64(MinRetention/time.Second)), int64(MaxRetention/time.Second))
	return time.Duration(bounded) * time.Second
}
