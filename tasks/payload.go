package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// payloadVersion is what this release writes. A release that writes version n
// reads n and n-1, so that workers and applications can be upgraded one by one.
const payloadVersion = 1

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
}

// Followed is a decoded task: the session, and for how long its finished task
// is kept.
type Followed struct {
	Session
	Retention time.Duration
}

func encode(s Session, retention time.Duration) ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return json.Marshal(payload{
		Version: payloadVersion, Token: s.Token, Method: s.Method, Locale: s.Locale,
		CallbackURL: s.CallbackURL, Reference: s.Reference, Checks: s.Checks,
		StartedAt: s.StartedAt, Account: s.account(), Retention: int64(retention / time.Second),
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
	if version.Version > payloadVersion {
		return Followed{}, ErrNewerPayload
	}
	if version.Version != payloadVersion {
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
	if err := s.Validate(); err != nil {
		return Followed{}, err
	}
	return Followed{s, boundRetention(p.Retention)}, nil
}

// boundRetention keeps the arithmetic of a hand-made payload within bounds.
func boundRetention(seconds int64) time.Duration {
	bounded := min(max(seconds, int64(MinRetention/time.Second)), int64(MaxRetention/time.Second))
	return time.Duration(bounded) * time.Second
}
