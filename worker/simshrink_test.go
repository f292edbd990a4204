package worker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A life that failed is shrunk by leaving steps out, for as long as what is left
// breaks the same promise. Which goroutine runs first is not decided by the seed, so
// each candidate has several tries.
const (
	shrinkTries = 4
	shrinkTime  = 2 * time.Minute // of the wall
)

// simShrinker looks for the least that still fails.
type simShrinker struct {
	t       *testing.T
	plan    simPlan // whole
	promise string
	begun   time.Time
	runs    int
	last    simResult // the last that failed
}

// shrink returns what is left of a failed life, and the places of its steps.
func shrink(t *testing.T, failed simResult) (simResult, []int) {
	t.Helper()
	s := &simShrinker{t: t, plan: failed.plan, promise: failed.findings[0].promise, begun: time.Now(), last: failed}
	kept := make([]int, len(s.plan.Steps))
	for i := range kept {
		kept[i] = i
	}
	for size := (len(kept) + 1) / 2; size >= 1; size /= 2 {
		for i := 0; i < len(kept); {
			fewer := slices.Delete(slices.Clone(kept), i, min(i+size, len(kept)))
			if s.fails(fewer) {
				kept = fewer
			} else {
				i += size
			}
		}
	}
	t.Logf("shrunk from %d steps to %d in %d runs", len(s.plan.Steps), len(kept), s.runs)
	return s.last, kept
}

func (s *simShrinker) fails(steps []int) bool {
	for range shrinkTries {
		if time.Since(s.begun) > shrinkTime {
			return false
		}
		s.runs++
		result := simulate(s.t, s.plan.only(steps))
		if slices.ContainsFunc(result.findings, func(f simFinding) bool { return f.promise == s.promise }) {
			s.last = result
			return true
		}
	}
	return false
}

// only is the plan with the steps at these places alone.
func (p simPlan) only(places []int) simPlan {
	all := p.Steps
	p.Steps = nil
	for _, i := range places {
		if i < len(all) {
			p.Steps = append(p.Steps, all[i])
		}
	}
	return p
}

// replayed is the plan of a seed, with the steps alone that -steps names.
func replayed(t *testing.T, seed uint64) simPlan {
	t.Helper()
	plan := drawSimPlan(seed)
	if *simSteps == "" {
		return plan
	}
	var places []int
	for text := range strings.SplitSeq(*simSteps, ",") {
		place, err := strconv.Atoi(text)
		if err != nil || place < 0 {
			t.Fatalf("-steps %s: %v", *simSteps, err)
		}
		places = append(places, place)
	}
	return plan.only(places)
}

// reportShrunk says what is left of a failed life, and how it is lived again.
func reportShrunk(t *testing.T, failed simResult) {
	t.Helper()
	least, places := shrink(t, failed)
	t.Logf("the least that still fails:\n%s%s", least.plan, least.said())
	t.Logf("again: go test ./worker -run TestSimulation -seed %d -steps %s", least.plan.Seed,
		strings.Trim(strings.ReplaceAll(fmt.Sprint(places), " ", ","), "[]"))
}
