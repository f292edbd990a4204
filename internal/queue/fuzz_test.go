package queue

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// problems are all that a ValidationError says of a field. They are written here
// once more, so that one that quotes the field is noticed.
var problems = []string{
	"token is required", "token is longer than 128 characters", "token must not be a relative path segment",
	"token may hold A–Z, a–z, 0–9, '-', '_' and '.' only",
	"method is required: smart_id or mobile_id", "method must be smart_id or mobile_id", "locale must be lt or en",
	"callback_url is longer than 2048 bytes", "callback_url is not a URL",
	"callback_url must begin with https:// (or http://, where the worker allows it)", "callback_url names no host",
	"callback_url must not hold a user name or password", "callback_url must not hold a fragment",
	"callback_url must use the scheme's own port or one above 1023",
	"reference is longer than 200 bytes", "reference is not valid UTF-8", "reference holds a character that cannot be printed",
	"checks may hold peps and sanctions only", "checks must not name a check twice",
	"started_at is not between the years 2000 and 9999",
	"account is longer than 32 characters", "account may hold a–z, 0–9, '-' and '_' only, and begins with a letter",
}

var decodeFaults = regexp.MustCompile(`^the task's payload (is not a JSON object with a version|has a field of the wrong type|` +
	`has version -?\d+, which this release no longer reads)$`)

// saysNothing fails where an error of Decode says more than which rule was broken.
func saysNothing(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, ErrNewerPayload) || decodeFaults.MatchString(err.Error()) {
		return
	}
	list, isValidation := strings.CutPrefix(err.Error(), "invalid session: ")
	for _, problem := range strings.Split(list, "; ") {
		if !isValidation || !slices.Contains(problems, problem) {
			t.Fatalf("the error says %q", problem)
		}
	}
}
