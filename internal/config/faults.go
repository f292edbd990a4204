package config

import "strings"

// Fault is one thing that is wrong with the environment.
type Fault struct {
	// Name is the variable, such as REDIS_URL or REDIS_URL_FILE.
	Name string
	// Problem says what is wrong and what to do about it, to be read after the
	// name. It shows no value that may be secret.
	Problem string
}

// Faults is everything that is wrong with the environment, as one error.
//
//nolint:errname // named for what it lists
type Faults struct {
	list []Fault
}

// List returns the faults, at least one, those of variables that do not go
// together last.
func (f *Faults) List() []Fault { return f.list }

// Error returns one line for each fault, "NAME: problem", without a newline at
// the end.
func (f *Faults) Error() string {
	lines := make([]string, len(f.list))
	for i, fault := range f.list {
		lines[i] = fault.Name + ": " + fault.Problem
	}
	return strings.Join(lines, "\n")
}
