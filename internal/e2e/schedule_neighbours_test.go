//go:build unix

package e2e

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/identwatch/identwatch/internal/marksim"
	"github.com/identwatch/identwatch/webhook"
)

// mood is how the receiver answers in a share of the posts; the rest is well.
type mood struct {
	name  string
	share float64
	dice  *rand.Rand
	answer
}

// troubleReceiver makes the receiver fail in one of its ways.
func (s *stage) troubleReceiver(f planned, dice *rand.Rand) {
	after := http.Header{"Retry-After": {strconv.Itoa(1 + dice.IntN(8))}}
	late := s.plan.releases.most(func(x settings) time.Duration { return x.delivery }) + time.Duration(dice.Int64N(int64(2*time.Second)))
	moods := []mood{
		{name: "500", answer: answer{status: 500}},
		{name: "503 with Retry-After", answer: answer{status: 503, header: after}},
		{name: "too late", answer: answer{after: late, deaf: true}},
		{name: "slow", answer: answer{after: late / 2}},
		{name: "the 2xx is lost", answer: answer{cut: true, after: 50 * ms}},
		{name: "a redirect", answer: answer{status: 307, header: http.Header{"Location": {"/elsewhere"}}}},
		{name: "a big body", answer: answer{body: make([]byte, 4<<20)}},
		{name: "a big body with 500", answer: answer{status: 500, body: make([]byte, 4<<20)}},
	}
	m := moods[dice.IntN(len(moods))]
	m.share, m.dice = 0.3+0.7*dice.Float64(), dice
	s.describe(f, "%s, %.0f %%", m.name, 100*m.share)
	s.count("receiver: " + m.name)
	s.setMood(m)
	s.lasting(f, func() { s.setMood(mood{}) })
}

func (s *stage) setMood(m mood) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood = m
}

// answer is the receiver's script. It remembers what it was told.
func (s *stage) answer(e webhook.Event, _ []byte, _ int) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told[e.Data.Token] = append(s.told[e.Data.Token], e)
	if taken := s.taken[e.Data.Token]; taken != nil && taken.gone {
		return answer{status: http.StatusGone}
	}
	if s.mood.dice != nil && s.mood.dice.Float64() < s.mood.share {
		return s.mood.answer
	}
	return answer{}
}

// troubleMarkSign makes MarkSign fail in one of its ways.
func (s *stage) troubleMarkSign(f planned, dice *rand.Rand) {
	share := 0.3 + 0.7*dice.Float64()
	after := time.Duration(1+dice.IntN(4)) * time.Second
	ways := []struct {
		name   string
		faults marksim.Faults
	}{
		{"down", marksim.Faults{Outage: true}},
		{"slow", marksim.Faults{Latency: 300 * ms, Jitter: 2 * time.Second}},
		{"cut", marksim.Faults{Cut: share}},
		{"5xx", marksim.Faults{ServerError: share}},
		{"429", marksim.Faults{TooMany: share, RetryAfter: after}},
		{"HTML", marksim.Faults{HTML: share}},
		{"bad gateway", marksim.Faults{BadGateway: share}},
		{"error 50000", marksim.Faults{Error: share}},
		{"hangs", marksim.Faults{Hang: share / 3}},
		{"removals are refused", marksim.Faults{RemoveError: share}},
		{"rejects the token", marksim.Faults{RejectToken: true}},
	}
	way := ways[dice.IntN(len(ways))]
	s.describe(f, "%s, %.0f %%", way.name, 100*share)
	s.count("MarkSign: " + way.name)
	in := s.note(markSignIll, "")
	s.sim.SetFaults(way.faults)
	s.lasting(f, func() { s.sim.SetFaults() }, in)
}
