package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/identwatch/identwatch/internal/session"
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
	Version     int             `json:"v"`
	Token       string          `json:"token"`
	Method      session.Method  `json:"method"`
	Locale      string          `json:"locale,omitempty"`
	CallbackURL string          `json:"callback_url,omitempty"`
	Reference   string          `json:"reference,omitempty"`
	Checks      []session.Check `json:"checks,omitempty"`
	StartedAt   time.Time       `json:"started_at,omitzero"`
	Account     string          `json:"account"`
	Retention   int64           `json:"retention_s"`
	Signature   string          `json:"signature,omitempty"`
}

func encode(job session.Job) ([]byte, error) {
	if err := validateStored(job); err != nil {
		return nil, err
	}
	version := payloadVersion
	if job.Signature != "" {
		version = payloadVersionSigned
	}
	return json.Marshal(payload{
		Version: version, Token: job.Token, Method: job.Method, Locale: job.Locale,
		CallbackURL: job.CallbackURL, Reference: job.Reference, Checks: job.Checks,
		StartedAt: job.StartedAt.UTC(), Account: job.AccountName(), Retention: int64(job.Retention / time.Second),
		Signature: job.Signature,
	})
}

// Decode reads the payload of a task of any of the three types. The job that it
// returns is valid and names its account. It returns ErrNewerPayload for a version
// that it does not know yet, and no error holds the payload's text.
func Decode(data []byte) (session.Job, error) {
	var version struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return session.Job{}, errors.New("the task's payload is not a JSON object with a version")
	}
	if version.Version > payloadVersionSigned {
		return session.Job{}, ErrNewerPayload
	}
	if version.Version != payloadVersion && version.Version != payloadVersionSigned {
		return session.Job{}, fmt.Errorf("the task's payload has version %d, which this release no longer reads", version.Version)
	}
	var p payload
	if err := json.Unmarshal(data, &p); err != nil {
		return session.Job{}, errors.New("the task's payload has a field of the wrong type")
	}
	job := session.Job{
		Account: p.Account, Token: p.Token, Method: p.Method, Locale: p.Locale, CallbackURL: p.CallbackURL,
		Reference: p.Reference, Checks: p.Checks, StartedAt: p.StartedAt,
		Retention: boundRetention(p.Retention), Signature: p.Signature,
	}
	job.Account = job.AccountName()
	if err := validateStored(job); err != nil {
		return session.Job{}, err
	}
	return job, nil
}

// ErrOtherSession says that a task's payload is another session's.
var ErrOtherSession = errors.New("the task's payload names another session than its id: somebody changed it in Redis; enqueue the session again")

// DecodeAs is Decode for a task that must be of the session with that id. It returns
// ErrOtherSession if it is not.
func DecodeAs(id string, data []byte) (session.Job, error) {
	job, err := Decode(data)
	if err == nil && job.ID() != id {
		return session.Job{}, ErrOtherSession
	}
	return job, err
}

// validateStored is Validate for what Redis holds. Earlier releases enqueued sessions
// whose account begins with a digit: such a task waits, as one of any account that
// no worker has, and is not archived.
func validateStored(job session.Job) error {
	if job.Account != "" && job.Account[0] >= '0' && job.Account[0] <= '9' {
		job.Account = "a" + job.Account[1:]
	}
	return job.Validate()
}

// boundRetention keeps the arithmetic of a hand-made payload within bounds.
func boundRetention(seconds int64) time.Duration {
	bounded := min(max(seconds, int64(session.MinRetention/time.Second)), int64(session.MaxRetention/time.Second))
	return time.Duration(bounded) * time.Second
}
