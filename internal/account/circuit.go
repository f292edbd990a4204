package account

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/identwatch/identwatch/internal/marksign"
)

const (
	// rejections in a row, without another answer in between, open the circuit.
	rejections = 3
	// rejectedPause is between two calls that try whether MarkSign accepts the
	// access token again.
	rejectedPause = 5 * time.Second
)

// ErrRejected says that MarkSign rejects the account's access token.
var ErrRejected = errors.New("MarkSign rejects the account's access token")

// errNoWord is what a call came to that says nothing about the access token.
var errNoWord = errors.New("no word about the access token")

// accept starts again with an account that was never rejected.
func (a *Account) accept() {
	var circuit *gobreaker.TwoStepCircuitBreaker[marksign.Answer]
	var alerted time.Time
	circuit = gobreaker.NewTwoStepCircuitBreaker[marksign.Answer](gobreaker.Settings{
		Timeout:     rejectedPause,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= rejections },
		IsExcluded:  func(err error) bool { return errors.Is(err, errNoWord) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if circuit == a.circuit.Load() {
				alerted = a.changed(to, alerted)
			}
		},
	})
	a.circuit.Store(circuit)
}

// changed is called by the circuit, under its lock. It takes when the rejection
// was last logged, and returns it.
func (a *Account) changed(to gobreaker.State, alerted time.Time) time.Time {
	switch {
	case to == gobreaker.StateClosed:
		a.log.Info("MarkSign accepts the account's access token again; its sessions go on")
		a.accepted()
		return time.Time{}
	case to == gobreaker.StateOpen && time.Since(alerted) >= alertPause:
		a.log.Error("MarkSign rejects the account's access token; its sessions wait until that is fixed")
		return time.Now()
	}
	return alerted
}

// IsRejected reports whether MarkSign rejects the account, as far as is known.
func (a *Account) IsRejected() bool { return a.circuit.Load().State() != gobreaker.StateClosed }

// Permit allows one call, or says how long to wait because the account is
// rejected. While it is, one call each 5 s is allowed. The Permit is never nil, and
// calls all the same if the caller has to: at a session's deadline. It must be
// released.
func (a *Account) Permit() (p *Permit, wait time.Duration) {
	done, err := a.circuit.Load().Allow()
	if err != nil {
		return &Permit{account: a}, RejectedPause()
	}
	return &Permit{a, done}, 0
}

// RejectedPause is for how long to stay away from a rejected account.
func RejectedPause() time.Duration {
	return rejectedPause + rand.N(rejectedPause) //nolint:gosec // a spread is no secret
}
