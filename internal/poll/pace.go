package poll

import (
	"errors"
	"math/rand/v2"
	"time"
)

// PaceStep says how long to pause between two polls, from an age of the session on.
type PaceStep struct {
	From  time.Duration // since the session was started
	Every time.Duration
}

// Pace is a list of steps with rising From, the first from zero. Exponential
// backoff from the start would be wrong for people: most confirm within 5 to 30 s.
type Pace []PaceStep

// DefaultPace suits people who confirm on a phone.
func DefaultPace() Pace {
	return Pace{{0, time.Second}, {30 * time.Second, 2 * time.Second}, {time.Minute, 3 * time.Second}, {2 * time.Minute, 5 * time.Second}}
}

// Validate says what is wrong with the steps.
func (p Pace) Validate() error {
	if len(p) == 0 || p[0].From != 0 {
		return errors.New("the first step of Pace is not from zero")
	}
	for i, step := range p {
		if step.Every <= 0 {
			return errors.New("a step of Pace has no pause")
		}
		if i > 0 && step.From <= p[i-1].From {
			return errors.New("the steps of Pace do not rise")
		}
	}
	return nil
}

// after returns the pause for a session of the age given, with jitter of ±10 %.
func (p Pace) after(age time.Duration) time.Duration {
	pause := p[0].Every
	for _, step := range p {
		if age >= step.From {
			pause = step.Every
		}
	}
	return pause - pause/10 + rand.N(pause/5+1) //nolint:gosec // jitter is no secret
}
