package main

import (
	"log/slog"
	"strings"

	"github.com/identwatch/identwatch/internal/config"
)

// aboutUnknown says what to do about a variable that looks like a setting and is none.
func aboutUnknown(u config.Unknown) string {
	if u.Meant == "" {
		return u.Name + " is no setting: see 'identwatch serve --help' for all of them"
	}
	return u.Name + " is no setting: did you mean " + u.Meant + "?"
}

// logUnknown warns of variables that look like settings and are none. It refuses none of them: they may be another program's.
func logUnknown(log *slog.Logger) {
	for _, u := range config.FindUnknown() {
		log.Warn("a variable of the environment looks like a setting and is none; it is ignored", "variable", u.Name, "meant", u.Meant)
	}
}

// unknownLines are what to add to a report of what is wrong with the environment, because what is missing may be there
// under another name.
func unknownLines() string {
	var lines strings.Builder
	for _, u := range config.FindUnknown() {
		lines.WriteString("  " + aboutUnknown(u) + "\n")
	}
	return lines.String()
}
