package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// turn is what one turn of a side came to.
type turn struct {
	worker, redis time.Duration // of the processors, in all
	commands      int64
	memory        int64
	polls         float64 // of each session
	firstPoll     []time.Duration
	detected      []time.Duration // from when the outcome could be read until it was
	posted        []time.Duration // from then until the event reached the receiver
}

func (t turn) both() time.Duration { return t.worker + t.redis }

// table holds the turns of each side, in the order of the sides.
type table struct {
	names []string
	turns map[string][]turn
}

func (t *table) add(name string, one turn) {
	if t.turns == nil {
		t.turns = map[string][]turn{}
	}
	if t.turns[name] == nil {
		t.names = append(t.names, name)
	}
	t.turns[name] = append(t.turns[name], one)
}

// print prints the medians of each side's turns.
func (t *table) print(w io.Writer, p plan) error {
	protocol := "HTTP"
	if p.tls {
		protocol = "TLS"
	}
	fmt.Fprintf(w, "\n%d sessions that begin within %v, %d polls each, over %s; %d turns of each side on %d processors; medians\n\n", //nolint:errcheck // Flush reports it
		p.sessions, p.over, p.polls, protocol, p.rounds, runtime.NumCPU())
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "side\tworker ms\tRedis ms\tboth ms\t× first\tcommands\tpolls\tpeak MB\tfirst poll p50, p99\tdetected p50, p99\tposted p50, p99\t") //nolint:errcheck // Flush reports it
	floor := median(t.turns[t.names[0]], turn.both)
	for _, name := range t.names {
		turns := t.turns[name]
		each := func(of func(turn) time.Duration) float64 {
			return median(turns, of).Seconds() * 1000 / float64(p.sessions)
		}
		fmt.Fprintf(out, "%s\t%.3f\t%.3f\t%.3f\t%.2f\t%.2f\t%.1f\t%d\t%s\t%s\t%s\t\n", name, //nolint:errcheck // Flush reports it
			each(func(t turn) time.Duration { return t.worker }), each(func(t turn) time.Duration { return t.redis }), each(turn.both),
			float64(median(turns, turn.both))/float64(floor), float64(median(turns, func(t turn) int64 { return t.commands }))/float64(p.sessions),
			median(turns, func(t turn) float64 { return t.polls }), median(turns, func(t turn) int64 { return t.memory })>>20,
			times(turns, func(t turn) []time.Duration { return t.firstPoll }),
			times(turns, func(t turn) []time.Duration { return t.detected }),
			times(turns, func(t turn) []time.Duration { return t.posted }))
	}
	return out.Flush()
}

// times are the quantiles of all turns together.
func times(turns []turn, of func(turn) []time.Duration) string {
	var all []time.Duration
	for _, t := range turns {
		all = append(all, of(t)...)
	}
	if len(all) == 0 {
		return "-"
	}
	slices.Sort(all)
	return fmt.Sprintf("%d, %d ms", all[len(all)/2].Milliseconds(), all[len(all)*99/100].Milliseconds())
}

func median[T cmp.Ordered](turns []turn, of func(turn) T) T {
	values := make([]T, len(turns))
	for i, t := range turns {
		values[i] = of(t)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
