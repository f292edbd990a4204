package worker

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	simSeeds = flag.Int("seeds", 10, "how many random lives TestSimulation runs")
	simSeed  = flag.Uint64("seed", 0, "the one life that TestSimulation runs; 0 is none in particular")
	simFirst = flag.Uint64("first", 1, "the first of the -seeds")
	simTries = flag.Int("tries", 1, "how often TestSimulation runs the -seed")
	simSteps = flag.String("steps", "", "the places of the steps, from 0, that the life of the -seed is shrunk to")
)

// TestSimulation lets whole workers live through what a seed decides: sessions of
// all kinds, and deaths, suspensions, lost answers and troubles at any step. Then
// everything is mended, and every promise is checked by what the outside saw.
//
//	go test ./worker -run TestSimulation -seeds 200
//	go test ./worker -run TestSimulation -seed 17
func TestSimulation(t *testing.T) {
	t.Parallel()
	if *simSeed != 0 {
		replaySimulation(t, *simSeed)
		return
	}
	total := newSimTally()
	var next atomic.Uint64
	next.Store(*simFirst - 1)
	last := *simFirst + uint64(*simSeeds) - 1
	begun := time.Now()
	t.Run("lives", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint("on processor ", i), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1); seed <= last && !total.enough(); seed = next.Add(1) {
					result := simulate(t, drawSimPlan(seed))
					total.add(result)
					if result.failed() {
						result.report(t)
						total.worst(result)
					}
				}
			})
		}
	})
	if total.first != nil {
		reportShrunk(t, *total.first)
	}
	t.Logf("seeds %d to %d in %v\n%s", *simFirst, last, time.Since(begun).Round(time.Millisecond), total)
}

// replaySimulation runs one seed, several times if asked to, and shows what happened.
func replaySimulation(t *testing.T, seed uint64) {
	t.Helper()
	plan := replayed(t, seed)
	failed := 0
	var shown bool
	for range *simTries {
		result := simulate(t, plan)
		if result.failed() {
			failed++
		}
		if !shown && (result.failed() || *simTries == 1) {
			shown = result.failed()
			t.Log(plan)
			result.report(t)
			t.Log(result.log)
		}
	}
	t.Logf("seed %d failed in %d of %d runs", seed, failed, *simTries)
}

// simResult is what came of one life.
type simResult struct {
	plan     simPlan
	findings []simFinding
	excuses  map[string]int
	counts   map[string]int
	log      string
	stories  map[string]string
	sessions int
	virtual  time.Duration
}

func (r simResult) failed() bool { return len(r.findings) > 0 }

// said is what the checker says.
func (r simResult) said() string {
	var b strings.Builder
	for _, f := range r.findings {
		fmt.Fprintf(&b, "%s\n%s", f, r.stories[f.token])
	}
	return b.String()
}

func (r simResult) report(t *testing.T) {
	t.Helper()
	if r.failed() {
		t.Errorf("seed %d: %s", r.plan.Seed, r.said())
	}
	if r.failed() {
		t.Logf("again: go test ./worker -run TestSimulation -seed %d\n%s", r.plan.Seed, r.plan)
	}
}

// simulate lives one plan.
func simulate(t *testing.T, p simPlan) (result simResult) {
	t.Helper()
	defer func() {
		if x := recover(); x != nil {
			t.Logf("seed %d: %s", p.Seed, p)
			panic(x)
		}
	}()
	synctest.Test(t, func(*testing.T) {
		w := newSimWorld(p)
		w.live()
		w.check()
		result = w.result()
		w.close()
	})
	return result
}

func (w *simWorld) result() simResult {
	r := simResult{
		plan: w.plan, findings: w.findings, excuses: w.excuses, counts: w.log.counts, stories: map[string]string{},
		sessions: len(w.visits), virtual: time.Since(w.log.begun),
	}
	if len(w.findings) > 0 || *simSeed != 0 {
		var b strings.Builder
		fmt.Fprintln(&b, strings.Join(w.log.lines, "\n"))
		for _, v := range w.all() {
			r.stories[v.token] = w.log.story(v.token)
			fmt.Fprintf(&b, "%s\n%s", v.token, r.stories[v.token])
		}
		for _, p := range w.processes {
			fmt.Fprintf(&b, "%s logged:\n%s", p.name, p.logs.String())
		}
		r.log = b.String() + w.redis.dump()
	}
	return r
}

// simTally is the summary of many lives.
type simTally struct {
	mu       sync.Mutex
	lives    int
	sessions int
	virtual  time.Duration
	failed   []uint64
	first    *simResult // that failed
	counts   map[string]int
	excuses  map[string]int
}

func newSimTally() *simTally {
	return &simTally{counts: map[string]int{}, excuses: map[string]int{}}
}

// worst keeps the failure that is shrunk.
func (y *simTally) worst(r simResult) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.first == nil {
		y.first = &r
	}
}

// simEnough is after how many failures no more lives are begun.
const simEnough = 5

func (y *simTally) enough() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.failed) >= simEnough
}

func (y *simTally) add(r simResult) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.lives++
	y.sessions += r.sessions
	y.virtual += r.virtual
	if r.failed() {
		y.failed = append(y.failed, r.plan.Seed)
	}
	for what, n := range r.counts {
		y.counts[what] += n
	}
	for what, n := range r.excuses {
		y.excuses[what] += n
	}
}

func (y *simTally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%d lives, %d sessions, %v of virtual time; failed: %v\n", y.lives, y.sessions, y.virtual.Round(time.Second), y.failed)
	for _, list := range []struct {
		title string
		of    map[string]int
	}{{"what happened", y.counts}, {"what an exception allowed", y.excuses}} {
		fmt.Fprintf(&b, "%s:\n", list.title)
		for _, what := range slices.Sorted(maps.Keys(list.of)) {
			fmt.Fprintf(&b, "  %6d %s\n", list.of[what], what)
		}
	}
	return b.String()
}
