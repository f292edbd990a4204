//go:build unix

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

// trouble is a kind of incident, by what it may explain.
type trouble string

const (
	killed       trouble = "killed"
	suspended    trouble = "suspended"
	cutShort     trouble = "its stop was cut short"
	redisWay     trouble = "its way to Redis was disturbed"
	receiverWay  trouble = "its way to the receiver was disturbed"
	markSignWay  trouble = "its way to MarkSign was disturbed"
	redisAway    trouble = "Redis was away"
	redisLost    trouble = "Redis lost what was written"
	redisRefused trouble = "Redis refused, or was slow"
	leasesGone   trouble = "asynq's leases vanished"
	markSignIll  trouble = "MarkSign was in trouble"
)

// incident is something that happened to a worker, or to all.
type incident struct {
	what     trouble
	who      string // the process; "" is everybody
	from, to time.Time
	tail     []byte // of what Redis lost; nil where that is not known
}

// touches reports whether an incident was at some time of an interval.
func (in *incident) touches(from, to time.Time) bool {
	return !in.from.After(to) && (in.to.IsZero() || !in.to.Before(from))
}

// mentions reports whether what Redis lost may be of a session.
func (in *incident) mentions(token string) bool {
	return in.tail == nil || bytes.Contains(in.tail, []byte(token))
}

// chronicle is what happened in a schedule.
type chronicle struct {
	mu        sync.Mutex
	begun     time.Time
	lines     []string
	incidents []*incident
	counts    map[string]int
	releases  releases             // of the schedule
	settings  map[string]settings  // of each process
	timeouts  map[string][]timeout // by token
}

// timeout is a post whose sender heard nothing for as long as it waits, by its log.
type timeout struct {
	by string
	at time.Time
}

func (c *chronicle) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, fmt.Sprintf("%s (%+.3fs) %s", time.Now().Format(clock), time.Since(c.begun).Seconds(), fmt.Sprintf(format, args...)))
}

// count counts what the summary tells of.
func (c *chronicle) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[string]int)
	}
	c.counts[what]++
}

// note begins an incident; over ends it.
func (c *chronicle) note(what trouble, who string) *incident {
	in := &incident{what: what, who: who, from: time.Now()}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.incidents = append(c.incidents, in)
	return in
}

func (c *chronicle) over(in *incident) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in.to = time.Now()
}

// find returns an incident that befell a process within an interval, nil where
// there was none.
func (c *chronicle) find(what trouble, who string, from, to time.Time) *incident {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, in := range c.incidents {
		if in.what == what && (in.who == "" || in.who == who || who == "") && in.touches(from, to) {
			return in
		}
	}
	return nil
}

// lost returns an incident in which Redis lost what was written of a session
// within an interval.
func (c *chronicle) lost(token string, from, to time.Time) *incident {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, in := range c.incidents {
		if in.what == redisLost && in.touches(from, to) && in.mentions(token) {
			return in
		}
	}
	return nil
}

func (c *chronicle) tell() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines, "\n")
}
