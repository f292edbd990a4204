//go:build unix

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// settings are those of a worker that a schedule changes. They are short, so that
// much fits into its time; but DELIVERY_WINDOW is never over before the schedule is.
type settings struct {
	lease      time.Duration
	session    time.Duration // SESSION_TIMEOUT
	delivery   time.Duration // DELIVERY_TIMEOUT
	window     time.Duration // DELIVERY_WINDOW
	redelivery time.Duration // REDELIVERY_WINDOW
	pace       string
}

func usualSettings() settings {
	return settings{
		lease: 3 * time.Second, session: 30 * time.Second, delivery: 2 * time.Second,
		window: 72 * time.Hour, pace: "500ms",
	}
}

// claim is for how long a post claims its session.
func (s settings) claim() time.Duration { return s.delivery + claimMargin }

// shutdown is SHUTDOWN_TIMEOUT.
func (s settings) shutdown() time.Duration { return s.delivery + 3*time.Second }

func (s settings) environment() []string {
	return []string{
		"LEASE=" + s.lease.String(), "SESSION_TIMEOUT=" + s.session.String(), "DELIVERY_TIMEOUT=" + s.delivery.String(),
		"DELIVERY_WINDOW=" + s.window.String(), "REDELIVERY_WINDOW=" + s.redelivery.String(), "POLL_PACE=" + s.pace,
		"SHUTDOWN_TIMEOUT=" + s.shutdown().String(),
	}
}

// releases are what a schedule's workers may run with: what it begins with, and
// what it rolls out, and rolls back.
type releases [2]settings

func sameSettings(s settings) releases { return releases{s, s} }

func drawReleases(dice *rand.Rand) releases {
	var all releases
	for i := range all {
		all[i] = settings{
			lease:      oneOf(dice, 3*time.Second, 4*time.Second, 6*time.Second),
			session:    oneOf(dice, 20*time.Second, 25*time.Second, 30*time.Second),
			delivery:   oneOf(dice, time.Second, 2*time.Second, 4*time.Second),
			window:     oneOf(dice, 2*time.Minute, time.Hour, 72*time.Hour),
			redelivery: oneOf(dice, 0, time.Hour, 168*time.Hour),
			pace:       oneOf(dice, "300ms", "500ms", "1s", "500ms,5s:1s"),
		}
	}
	return all
}

func oneOf[T any](dice *rand.Rand, choices ...T) T { return choices[dice.IntN(len(choices))] }

// least and most are the bounds of a setting if either release may count.
func (r releases) least(of func(settings) time.Duration) time.Duration {
	return min(of(r[0]), of(r[1]))
}

func (r releases) most(of func(settings) time.Duration) time.Duration { return max(of(r[0]), of(r[1])) }

func (r releases) String() string {
	var b strings.Builder
	for i, s := range r {
		fmt.Fprintf(&b, "  release %d: %s\n", i, strings.Join(s.environment(), " "))
	}
	return b.String()
}

// runs notes what a process runs with.
func (c *chronicle) runs(who string, with settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settings == nil {
		c.settings = make(map[string]settings)
	}
	c.settings[who] = with
}

// of returns what a process runs, or ran, with.
func (c *chronicle) of(who string) settings {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settings[who]
}
