package marksim

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// Plan is what goes wrong over time. The zero value is nothing.
type Plan struct {
	// Always are the faults before an outage and after it.
	Always Faults
	// After is when the outage begins, and Lasts how long it is; 0 is no outage.
	After, Lasts time.Duration
}

// turn is a time with its faults. The last turn lasts forever, which is 0.
type turn struct {
	faults []Faults
	lasts  time.Duration
}

// turns are before the outage, the outage, and after it.
func (p Plan) turns() []turn {
	always := turn{faults: []Faults{p.Always}}
	if p.Lasts == 0 {
		return []turn{always}
	}
	outage := turn{faults: []Faults{{Outage: true}}, lasts: p.Lasts}
	if p.After == 0 {
		return []turn{outage, always}
	}
	before := always
	before.lasts = p.After
	return []turn{before, outage, always}
}

// Play sets the faults of a plan, each when its time has come, until ctx ends.
func (s *Simulator) Play(ctx context.Context, p Plan) {
	for _, turn := range p.turns() {
		s.SetFaults(turn.faults...)
		var over <-chan time.Time // never, with the last
		if turn.lasts > 0 {
			over = time.After(turn.lasts)
		}
		select {
		case <-ctx.Done():
			return
		case <-over:
		}
	}
}

// AddMany starts n sessions with random tokens, which it returns, of persons who
// confirm between two times after the start.
func (s *Simulator) AddMany(n int, method string, from, to time.Duration) (tokens []string) {
	for i := range n {
		token := rand.Text()
		s.Add(token, method, Person{
			// A code of the nineteenth century, and so nobody's.
			Name: "VARDENIS", Surname: "PAVARDENIS", Code: fmt.Sprintf("1010101%04d", i%10_000), Country: "LT",
			AfterMin: from, AfterMax: to,
		})
		tokens = append(tokens, token)
	}
	return tokens
}
