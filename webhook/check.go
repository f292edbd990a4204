package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
)

// CheckResult says what a check of a person against lists came to.
type CheckResult string

// What a receiver may conclude. Anything that is not Clear is no clearance, values not listed here included.
const (
	// Hit: MarkSign sent at least one record.
	Hit CheckResult = "hit"
	// Clear: the check was asked for, and MarkSign answered with an empty list.
	Clear CheckResult = "clear"
	// Unknown: everything else. Nothing may be concluded.
	Unknown CheckResult = "unknown"
)

// Check is the outcome of the check for politically exposed persons or for sanctions. It holds personal data and prints
// as [redacted]. The zero value is Unknown.
type Check struct {
	Result CheckResult `json:"result"`
	// Records are the elements that MarkSign sent, each unchanged; never null in JSON. Empty unless Result is Hit.
	Records []json.RawMessage `json:"records"`
}

// MarshalJSON writes {"result":...,"records":[...]}: an unset result as unknown, no records as an empty list.
func (c Check) MarshalJSON() ([]byte, error) {
	c.complete()
	type plain Check // without this method
	return encode(plain(c))
}

// complete sets what the zero value leaves open; nil is allowed.
func (c *Check) complete() {
	if c == nil {
		return
	}
	if c.Result == "" {
		c.Result = Unknown
	}
	if c.Records == nil {
		c.Records = []json.RawMessage{}
	}
}

// falselyClear reports a check that contradicts itself in the one way that does harm.
func (c *Check) falselyClear() bool {
	return c != nil && c.Result == Clear && len(c.Records) > 0
}

// NewCheck concludes from what MarkSign sent for a check, nil where the field was absent, and from whether the
// application is known to have asked for the check.
//
//	sent                                        result
//	a list with at least one object             Hit, whatever was asked; every element is a record
//	a map of objects, as PHP writes some lists  Hit, whatever was asked; every value is a record, in the order sent
//	any other map that is not empty             Hit, whatever was asked; the map is the one record
//	an empty list or map, asked for             Clear
//	everything else                             Unknown
//
// Everything else is null, absent, broken JSON, a string, a number, a bool, a list without any object, and an empty
// list or map that was not asked for.
func NewCheck(sent json.RawMessage, asked bool) Check {
	records, empty := findRecords(sent)
	switch {
	case len(records) > 0:
		return Check{Result: Hit, Records: records}
	case empty && asked:
		return Check{Result: Clear, Records: []json.RawMessage{}}
	}
	return Check{Result: Unknown, Records: []json.RawMessage{}}
}

// findRecords returns the records in sent, and whether sent is a list or map with nothing in it. Neither is the case
// for anything that is not understood.
func findRecords(sent json.RawMessage) (records []json.RawMessage, empty bool) {
	if !json.Valid(sent) {
		return nil, false
	}
	opening, values, err := members(sent)
	if err != nil {
		return nil, false
	}
	if len(values) == 0 {
		return nil, true
	}
	objects := 0
	for _, value := range values {
		if value[0] == '{' {
			objects++
		}
	}
	switch {
	case opening == '{' && objects < len(values):
		return []json.RawMessage{bytes.TrimSpace(sent)}, false
	case objects == 0:
		return nil, false
	}
	return values, false
}

// errNoContainer: the JSON is neither a list nor a map.
var errNoContainer = errors.New("webhook: neither a list nor a map")

// members returns how a list or map opens, and its values in the order sent, repeated keys included.
func members(sent json.RawMessage) (opening json.Delim, values []json.RawMessage, err error) {
	dec := json.NewDecoder(bytes.NewReader(sent))
	first, err := dec.Token()
	if err != nil {
		return 0, nil, err
	}
	opening, isContainer := first.(json.Delim)
	if !isContainer {
		return 0, nil, errNoContainer
	}
	for dec.More() {
		if opening == '{' {
			if _, err := dec.Token(); err != nil { // the key
				return 0, nil, err
			}
		}
		var value json.RawMessage // without white space around it
		if err := dec.Decode(&value); err != nil {
			return 0, nil, err
		}
		values = append(values, value)
	}
	return opening, values, nil
}
