package main

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/identwatch/identwatch/internal/marksim"
)

// faultFlags are the knobs of what goes wrong at the simulated MarkSign.
type faultFlags struct {
	faults marksim.Faults
	broken float64
	outage string
}

func (f *faultFlags) register(flags *pflag.FlagSet) {
	flags.DurationVar(&f.faults.Latency, "latency", 0, "time before every answer")
	flags.DurationVar(&f.faults.Jitter, "jitter", 0, "up to which there is more of it")
	flags.Float64Var(&f.faults.ServerError, "errors", 0, "`rate` of 500, 503 and 504")
	flags.Float64Var(&f.faults.TooMany, "too-many", 0, "`rate` of 429")
	flags.DurationVar(&f.faults.RetryAfter, "retry-after", 0, "what 429 and 5xx ask for; 0 is nothing")
	flags.Float64Var(&f.faults.Hang, "hang", 0, "`rate` of calls that are never answered")
	flags.Float64Var(&f.broken, "broken", 0, "`rate` of answers that are a page, cut off or of a wrong shape")
	flags.Float64Var(&f.faults.RemoveError, "remove-errors", 0, "`rate` of removals that are refused")
	flags.BoolVar(&f.faults.RejectToken, "reject-token", false, "refuse every access token")
	flags.StringVar(&f.outage, "outage", "", "`after,for`: close every connection for a time, such as 20s,10s")
}

func (f *faultFlags) parse() (marksim.Plan, error) {
	plan := marksim.Plan{Always: f.faults}
	third := f.broken / 3
	plan.Always.HTML, plan.Always.Cut, plan.Always.WrongShape = third, third, third
	sum := f.broken
	for name, rate := range map[string]float64{
		"errors": f.faults.ServerError, "too-many": f.faults.TooMany, "hang": f.faults.Hang,
		"broken": f.broken, "remove-errors": f.faults.RemoveError,
	} {
		if !(rate >= 0 && rate <= 1) { // so that NaN is none either
			return plan, usagef("--%s is %v: write a share of the calls, from 0 to 1", name, rate)
		}
	}
	if sum += f.faults.ServerError + f.faults.TooMany + f.faults.Hang + f.faults.RemoveError; sum > 1 {
		return plan, usagef("the rates of faults come to %v: write 1 or less in all", sum)
	}
	if f.outage == "" {
		return plan, nil
	}
	var err error
	plan.After, plan.Lasts, err = parseTwo("outage", f.outage)
	if err == nil && plan.Lasts == 0 {
		err = usagef("--outage %q lasts no time: write for how long, such as 20s,10s", f.outage)
	}
	return plan, err
}

// parseTwo reads two durations that are not negative, "5s,25s".
func parseTwo(flag, text string) (first, second time.Duration, err error) {
	one, two, _ := strings.Cut(text, ",")
	first, err1 := time.ParseDuration(strings.TrimSpace(one))
	second, err2 := time.ParseDuration(strings.TrimSpace(two))
	if err1 != nil || err2 != nil || first < 0 || second < 0 {
		return 0, 0, usagef("--%s is %.40q: write two durations, such as 5s,25s", flag, text)
	}
	return first, second, nil
}
