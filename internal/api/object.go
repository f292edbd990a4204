package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Bounds of a body, so that judging one costs time and memory in proportion to
// its length, whatever is in it.
const (
	maxDepth  = 16 // of nesting; a batch has 4
	maxFields = 64 // of one object; a session has 7
	maxName   = 64 // of a field, in bytes
	maxFaults = 20 // that are listed for one object
)

// faults are what is wrong with the fields of one object: the first of them as a
// list, and each field once.
type faults struct {
	list   []FieldError
	more   int // that are not listed
	faulty map[string]bool
}

// note keeps what is wrong with a field, the first time.
func (f *faults) note(field, problem string) {
	switch {
	case f.faulty[field]:
		return
	case f.faulty == nil:
		f.faulty = make(map[string]bool)
	}
	f.faulty[field] = true
	if len(f.list) == maxFaults {
		f.more++
		return
	}
	f.list = append(f.list, FieldError{field, problem})
}

func (f *faults) any() bool { return len(f.list) > 0 }

// fields are the members of a JSON object, taken out one by one. What is left
// is not known.
type fields struct {
	faults
	left map[string]json.RawMessage // nil: it is no object
}

// readFields opens an object. JSON of another kind, and an object with too many
// fields, is one fault, and is not read to its end.
func readFields(object json.RawMessage) *fields {
	f := &fields{}
	dec := json.NewDecoder(bytes.NewReader(object))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		f.note("body", "must be an object")
		return f
	}
	f.left = make(map[string]json.RawMessage)
	for dec.More() {
		name, _ := dec.Token() // the body was found to be valid JSON
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			f.note("body", "must be an object")
			return f
		}
		if !f.hold(name.(string), value) { //nolint:forcetypeassert // names of JSON are strings
			f.left = nil
			return f
		}
	}
	return f
}

// hold keeps a field. It returns false if the object is not worth reading on.
func (f *fields) hold(name string, value json.RawMessage) bool {
	_, twice := f.left[name]
	switch {
	case len(name) > maxName:
		f.note("body", "has a field whose name is longer than 64 bytes")
		return false
	case twice:
		f.note(name, "is in this object twice")
	case len(f.left) == maxFields:
		f.note("body", "has more than 64 fields")
		return false
	}
	f.left[name] = value
	return true
}

// take reads a field into a value, unless the object lacks it. must says of
// which kind it has to be.
func (f *fields) take(name, must string, value any) {
	raw, present := f.left[name]
	delete(f.left, name)
	if present && (string(raw) == "null" || json.Unmarshal(raw, value) != nil) {
		f.note(name, must)
	}
}

// refuseRest notes every field that nobody took.
func (f *fields) refuseRest() {
	for _, name := range slices.Sorted(maps.Keys(f.left)) {
		f.note(name, "is not a field of this object")
	}
}

// isDeep reports whether valid JSON is nested deeper than maxDepth.
func isDeep(text []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++ // what is escaped ends no string
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
