package session

import (
	"fmt"
	"regexp"
)

var accountPattern = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// AccountProblem says what is wrong with the name of a MarkSign account, as it is
// read after "NAME ", or returns "". It does not show the name. A name stands in
// task ids, in keys of Redis, and in upper case before the variables of the
// account, which no digit may begin.
func AccountProblem(name string) string {
	switch {
	case len(name) > MaxAccountLength:
		return fmt.Sprintf("is longer than %d characters", MaxAccountLength)
	case !accountPattern.MatchString(name):
		return "may hold a–z, 0–9, '-' and '_' only, and begins with a letter"
	}
	return ""
}
