package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/identwatch/identwatch/tasks"
)

// Status is what a check came to.
type Status string

// The statuses of a check. Where one failed, something does not work.
const (
	OK      Status = "ok"
	Warning Status = "warning" // it works, and something should be mended
	Failed  Status = "failed"
	Skipped Status = "skipped" // the detail says why
)

// Check is one thing that was looked at. Nothing in it is secret or personal.
type Check struct {
	// Name is configuration, redis, redis_access, clock, shards, workers, marksign, callback, signature
	// or api_keys.
	Name string `json:"name"`
	// Account is "" for what is of the whole service.
	Account string `json:"account,omitempty"`
	Status  Status `json:"status"`
	Detail  string `json:"detail"`
	// Advice says what to do; "" where there is nothing to do.
	Advice string `json:"advice,omitempty"`
	// Faults are those of the configuration.
	Faults []Fault `json:"faults,omitempty"`
	// DurationMS is how long the check took, in milliseconds.
	DurationMS int64 `json:"duration_ms"`
}

// Fault is one variable of the environment that is wrong.
type Fault struct {
	Variable string `json:"variable"`
	Problem  string `json:"problem"`
}

// Report is what an examination came to.
type Report struct {
	// Status is the worst of the checks; those that were skipped count for nothing.
	Status  Status  `json:"status"`
	Version string  `json:"version"`
	Checks  []Check `json:"checks"`
}

// NewReport makes the report of an identwatch of that version.
func NewReport(version string, checks []Check) Report {
	r := Report{Status: OK, Version: version, Checks: checks}
	for _, status := range []Status{Warning, Failed} {
		if r.count(status) > 0 {
			r.Status = status
		}
	}
	return r
}

func (r Report) count(status Status) (n int) {
	for _, c := range r.Checks {
		if c.Status == status {
			n++
		}
	}
	return n
}

// WriteJSON writes the report as one line of JSON.
func (r Report) WriteJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// titles are the checks' names for people.
var titles = map[string]string{"redis": "Redis", "redis_access": "Redis access", "marksign": "MarkSign", "api_keys": "API keys"}

// title names a check. The one account of a service that names none goes without
// saying.
func (c Check) title() string {
	title := c.Name
	if titles[c.Name] != "" {
		title = titles[c.Name]
	}
	if c.Account != "" && c.Account != tasks.DefaultAccount {
		title += " (" + c.Account + ")"
	}
	return title
}

// WriteText writes the report for people: a line for each check, what to do
// below it, and at the end how many there are of each status.
func (r Report) WriteText(out io.Writer) error {
	width := 0
	for _, c := range r.Checks {
		width = max(width, len(c.title()))
	}
	var text strings.Builder
	for _, c := range r.Checks {
		_, _ = fmt.Fprintf(&text, "%-7s  %-*s  %s\n", c.Status, width, c.title(), c.Detail)
		below := strings.Repeat(" ", len("warning  ")+width+2)
		for _, f := range c.Faults {
			text.WriteString(below + f.Variable + ": " + f.Problem + "\n")
		}
		if c.Advice != "" {
			text.WriteString(below + "-> " + c.Advice + "\n")
		}
	}
	text.WriteString("\n" + r.summary() + "\n")
	_, err := io.WriteString(out, text.String())
	return err
}

func (r Report) summary() string {
	var parts []string
	for _, status := range []Status{Failed, Warning, OK, Skipped} {
		if n := r.count(status); n > 0 {
			parts = append(parts, fmt.Sprint(n, " ", status))
		}
	}
	return strings.Join(parts, ", ")
}
