package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// parsed reads a variable through parse, whose error continues a sentence that
// starts "NAME: is". A variable that has a fault, or is not set and has no
// default, gets the zero value. The report shows no value unless parse does.
func parsed[T any](in *input, name string, parse func(string) (T, error)) T {
	var none T
	text, ok := in.text(name)
	if !ok {
		return none
	}
	value, err := parse(text)
	if err != nil {
		in.fault(name, "is "+err.Error())
		return none
	}
	return value
}

// secret is parsed for a value that is hidden.
func secret[T any](in *input, name string, parse func(string) (T, error)) Secret[T] {
	return NewSecret(parsed(in, name, parse))
}

// optionalSecret is secret where the command can do without.
func optionalSecret[T any](in *input, name string, parse func(string) (T, error)) Secret[T] {
	if !in.given(name) {
		return Secret[T]{}
	}
	return secret(in, name, parse)
}

// ranged is parsed for a value that is shown, and lies in the range of the table.
func ranged[T cmp.Ordered](in *input, name string, parse func(string) (T, error)) T {
	limits := in.variables[name].Range
	low, high, _ := strings.Cut(limits, " to ")
	return parsed(in, name, shown(func(text string) (T, error) {
		value, err := parse(text)
		if err == nil && (value < must(parse(low)) || value > must(parse(high))) {
			err = errors.New("out of range: write " + limits)
		}
		return value, err
	}))
}

// shards is 0 if nobody says how many there are: then it depends on the Redis.
func (in *input) shards() int {
	if !in.given("SHARDS") {
		return 0
	}
	return ranged(in, "SHARDS", parseCount)
}

// choice is parsed for one of the choices of the table, in upper or lower case.
func (in *input) choice(name string) string {
	v := in.variables[name]
	return parsed(in, name, shown(func(text string) (string, error) {
		chosen := strings.ToLower(text)
		if !slices.Contains(v.choices, chosen) {
			return "", errors.New("not a choice: write " + v.Range)
		}
		return chosen, nil
	}))
}

// logLevel is choice for the names of slog's levels.
func (in *input) logLevel(name string) slog.Level {
	return map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[in.choice(name)]
}

// shown makes parse show the value it refuses, which must not be secret.
func shown[T any](parse func(string) (T, error)) func(string) (T, error) {
	return func(text string) (T, error) {
		value, err := parse(text)
		if err != nil {
			err = fmt.Errorf("%s, %w", quote(text), err)
		}
		return value, err
	}
}

// quote quotes at most the first 60 bytes of a value.
func quote(text string) string {
	const most = 60
	if len(text) <= most {
		return strconv.Quote(text)
	}
	cut := most
	for !utf8.RuneStart(text[cut]) && cut > most-utf8.UTFMax {
		cut--
	}
	return strconv.Quote(text[:cut]) + "..."
}

// must is for texts of our own table, which the tests walk.
func must[T any](value T, err error) T {
	if err != nil {
		panic("config: the table of settings: " + err.Error())
	}
	return value
}

// parseDuration takes Go's durations, and whole days in front: 90s, 3d, 1d12h.
// None is negative.
func parseDuration(text string) (time.Duration, error) {
	days, rest, hasDays := strings.Cut(text, "d")
	switch {
	case !hasDays:
		days, rest = "0", text
	case rest == "":
		rest = "0"
	}
	n, daysErr := strconv.ParseUint(days, 10, 16) // 16 bits of days are no overflow
	d, restErr := time.ParseDuration(rest)
	sum := time.Duration(n)*24*time.Hour + d
	switch {
	case daysErr != nil || restErr != nil:
		return 0, errors.New("not a duration: write a number and its unit, such as 500ms, 30s, 72h or 3d")
	case d < 0:
		return 0, errors.New("negative: write a duration of 0 or more")
	case sum < d:
		return 0, errors.New("too long for a duration: write a shorter one")
	}
	return sum, nil
}

// parseRate takes a decimal number that is not negative.
func parseRate(text string) (float64, error) {
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(rate) || rate < 0 {
		return 0, errors.New("not a rate: write a number such as 0, 0.5 or 200")
	}
	return rate, nil
}

// parseCount takes a whole number.
func parseCount(text string) (int, error) {
	count, err := strconv.Atoi(text)
	if err != nil {
		return 0, errors.New("not a whole number: write one such as 256")
	}
	return count, nil
}

func parseBool(text string) (bool, error) {
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("neither true nor false: write one of the two")
	}
	return value, nil
}
