//go:build unix

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// tally is the summary of all schedules.
type tally struct {
	mu        sync.Mutex
	schedules int
	sessions  int
	failed    []uint64
	counts    map[string]int
	explained map[string]int
	longest   time.Duration
	longestOf uint64
	recovered distribution
}

func newTally() *tally { return &tally{counts: make(map[string]int), explained: make(map[string]int)} }

func (y *tally) explain(what string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.explained[what]++
}

func (y *tally) add(s *stage) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.schedules++
	y.sessions += len(s.plan.visits)
	y.counts["Redis: "+string(s.plan.redis)]++
	if s.plan.clocks[0] != 0 {
		y.counts["clocks apart"]++
	}
	for what, n := range s.counts {
		y.counts[what] += n
	}
	y.recovered = append(y.recovered, s.recovery)
	if s.recovery > y.longest {
		y.longest, y.longestOf = s.recovery, s.plan.seed
	}
	if s.t.Failed() {
		y.failed = append(y.failed, s.plan.seed)
	}
}

func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d schedules, %d sessions; recovery p50 %v, longest %v (seed %d); failed: %v\n",
		y.schedules, y.sessions, y.recovered.quantile(0.5), y.longest, y.longestOf, y.failed)
	for title, list := range map[string]map[string]int{"what happened": y.counts, "what was explained": y.explained} {
		fmt.Fprintf(&b, "%s:\n", title)
		for _, what := range slices.Sorted(maps.Keys(list)) {
			fmt.Fprintf(&b, "  %6d %s\n", list[what], what)
		}
	}
	return b.String()
}
