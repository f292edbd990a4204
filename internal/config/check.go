package config

import "slices"

// Check is a rule for settings that this package does not know, for who acts on
// them does: which keys a signer takes, or which URLs Redis's client reads.
type Check[T any] struct {
	// Names are the variables that it looks at. It is asked only where the first
	// is set and none of them has a fault, and its fault is one of the first.
	Names []string
	// Find returns nil, or what is wrong as it is to be read after "NAME: ". It
	// never shows a value that may be secret.
	Find func(settings T) error
}

// AccountCheck is a Check of what is of each account. It is asked about each.
type AccountCheck struct {
	// Names are the variables without an account in front, as in [Check].
	Names []string
	// Find is as in [Check].
	Find func(settings Serve, account Account) error
}

// Checks are those of [LoadServe].
type Checks struct {
	Service []Check[Serve]
	Account []AccountCheck
}

// ask notes what a check finds about the variables.
func (in *input) ask(names []string, find func() error) {
	if !in.given(names[0]) || slices.ContainsFunc(names, in.anyFaulty) {
		return
	}
	if err := find(); err != nil {
		in.fault(names[0], err.Error())
	}
}

// anyFaulty says whether the variable, or the one that names its file, has a fault.
func (in *input) anyFaulty(name string) bool {
	return in.faulty(name) || in.faulty(in.variables[name].fileName())
}
