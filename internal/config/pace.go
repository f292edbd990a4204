package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// PaceStep is the pause between two polls of a session from some time of its
// life on.
type PaceStep struct {
	// From is the time since the session started; 0 in the first step.
	From time.Duration
	// Every is the pause, 100 ms to 1 min.
	Every time.Duration
}

// pollPace is a pace, and its text without white space.
type pollPace struct {
	text  string
	steps []PaceStep
}

// parsePace takes a pause, and then elapsed:pause for each later step:
// 1s,30s:2s,2m:5s. 1s alone is a constant pace.
func parsePace(text string) (pollPace, error) {
	pace := pollPace{text: strings.Join(strings.Fields(text), "")}
	var before time.Duration
	for i, item := range strings.Split(pace.text, ",") {
		step, err := parsePaceStep(item, i == 0)
		if err == nil && i > 0 && step.From <= before {
			err = errors.New("the elapsed time must be longer than that of the item before")
		}
		if err != nil {
			return pollPace{}, fmt.Errorf("wrong at item %d: %w", i+1, err)
		}
		before = step.From
		pace.steps = append(pace.steps, step)
	}
	return pace, nil
}

func parsePaceStep(item string, first bool) (PaceStep, error) {
	elapsed, pause, timed := strings.Cut(item, ":")
	switch {
	case first && timed:
		return PaceStep{}, errors.New("write a pause alone, such as 1s")
	case first:
		elapsed, pause = "0", item
	case !timed:
		return PaceStep{}, errors.New("write elapsed:pause, such as 30s:2s")
	}
	from, err := parseDuration(elapsed)
	if err != nil {
		return PaceStep{}, fmt.Errorf("the elapsed time is %w", err)
	}
	every, err := parseDuration(pause)
	if err != nil {
		return PaceStep{}, fmt.Errorf("the pause is %w", err)
	}
	if every < 100*time.Millisecond || every > time.Minute {
		return PaceStep{}, errors.New("the pause is out of range: write 100ms to 1m")
	}
	return PaceStep{From: from, Every: every}, nil
}
