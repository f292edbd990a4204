// Package accountname owns the rule for the names of MarkSign accounts. A name
// stands in task ids, in keys of Redis, and in upper case before the variables of
// the account, which no digit may begin.
package accountname

import (
	"fmt"
	"regexp"
)

// MaxLength is the length of the longest name, in bytes.
const MaxLength = 32

var pattern = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// Problem says what is wrong with a name, as it is read after "NAME ", or returns
// "". It does not show the name.
func Problem(name string) string {
	switch {
	case len(name) > MaxLength:
		return fmt.Sprintf("is longer than %d characters", MaxLength)
	case !pattern.MatchString(name):
		return "may hold a–z, 0–9, '-' and '_' only, and begins with a letter"
	}
	return ""
}
