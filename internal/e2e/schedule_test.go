//go:build unix

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

var (
	scheduleCount = flag.Int("schedules", 10, "how many random fault schedules TestSchedules runs")
	scheduleSeed  = flag.Uint64("seed", 0, "seed of the first random fault schedule; the next have the numbers after it; 0 is any")
)

// TestSchedules runs whole worlds through random faults: two or three workers,
// their ways to Redis, MarkSign and the receiver, and all these themselves fail in
// every way that is known here, in an order that a seed decides. Then everything
// is mended, and what the outside saw is held against the promises.
//
//	go test ./internal/e2e -run TestSchedules -schedules=200 -timeout=60m
func TestSchedules(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	first := *scheduleSeed
	for first == 0 {
		first = uint64(rand.Uint32())
	}
	t.Logf("schedules %d to %d", first, first+uint64(*scheduleCount)-1)
	total := newTally()
	plans := make([]plan, *scheduleCount)
	for i := range plans {
		plans[i] = drawPlan(first + uint64(i))
	}
	if slices.ContainsFunc(plans, func(p plan) bool { return p.clocks[0] != 0 }) {
		if _, err := buildMoved(); err != nil { // beforehand, for it takes the whole machine
			t.Fatal(err)
		}
	}
	t.Run("all", func(t *testing.T) {
		for _, p := range plans {
			t.Run(strconv.FormatUint(p.seed, 10), func(t *testing.T) {
				t.Parallel()
				runSchedule(t, p, total)
			})
		}
	})
	t.Log(total)
}

func runSchedule(t *testing.T, p plan, total *tally) {
	t.Helper()
	t.Logf("%s", p)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: go test ./internal/e2e -run 'TestSchedules' -schedules=1 -seed=%d", p.seed)
		}
	})
	s := newStage(t, p)
	s.play()
	s.settle()
	s.examine(total)
}

// ofSeed are the dice for one thing in a plan, so that what one fault rolls
// changes nothing for another.
func ofSeed(seed, thing uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, thing)) }

func tokenOf(seed uint64, i int) string { return fmt.Sprintf("s%d-%05d", seed, i) }
