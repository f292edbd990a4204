package poll

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/internal/sessiontest"
)

// The pace counts from when the person began, and the deadline from when a worker
// first saw the session.
func TestBegin_KnowsTheSessionsAge(t *testing.T) {
	const timeout = 15 * time.Minute
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC) // by Redis's clock
	for name, c := range map[string]struct {
		record   outcome.Record
		begun    time.Duration // before now, by the application's clock; zero: it did not say
		age      time.Duration
		deadline time.Duration // from now
	}{
		"new":                           {outcome.Record{Now: now, Started: now}, 0, 0, timeout},
		"taken over":                    {outcome.Record{Now: now, Started: now.Add(-time.Minute)}, 0, time.Minute, timeout - time.Minute},
		"past its deadline":             {outcome.Record{Now: now, Started: now.Add(-time.Hour)}, 0, time.Hour, timeout - time.Hour},
		"Redis's clock stepped back":    {outcome.Record{Now: now, Started: now.Add(time.Hour)}, 0, 0, timeout},
		"Redis lost the record":         {outcome.Record{Now: now}, 0, 0, timeout},
		"the person began before":       {outcome.Record{Now: now, Started: now}, time.Minute, time.Minute, timeout},
		"the application's clock is on": {outcome.Record{Now: now, Started: now}, -time.Minute, 0, timeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				job := sessiontest.Job()
				if c.begun != 0 {
					job.StartedAt = time.Now().Add(-c.begun)
				}
				s := Begin(job, nil, c.record, timeout)
				if age, left := time.Since(s.start), time.Until(s.deadline); age != c.age || left != c.deadline {
					t.Errorf("it is %v old and has %v left, want %v and %v", age, left, c.age, c.deadline)
				}
			})
		})
	}
}

func TestPace_ValidateRefusesWhatIsNoPace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pace  Pace
		valid bool
	}{
		"the default":         {DefaultPace(), true},
		"one step":            {Pace{{0, time.Second}}, true},
		"a pause that falls":  {Pace{{0, time.Minute}, {time.Second, time.Millisecond}}, true},
		"nothing":             {nil, false},
		"not from zero":       {Pace{{time.Second, time.Second}}, false},
		"no pause":            {Pace{{0, 0}}, false},
		"a negative pause":    {Pace{{0, time.Second}, {time.Second, -1}}, false},
		"two steps from once": {Pace{{0, time.Second}, {time.Minute, time.Second}, {time.Minute, 2 * time.Second}}, false},
		"steps that go back":  {Pace{{0, time.Second}, {time.Hour, time.Second}, {time.Minute, time.Second}}, false},
	} {
		if err := c.pace.Validate(); (err == nil) != c.valid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
