package marksim

import (
	"encoding/json"
	"time"
)

// Dialect is how MarkSign answers where its documentation is silent. The zero
// value is the likeliest.
type Dialect struct {
	// ErrorStatus is the HTTP status of error bodies; 0 is 200.
	ErrorStatus int

	// CodeAsText sends error_code as a string.
	CodeAsText bool

	// Unasked is what peps_data and sanctions_data hold where the check was not
	// asked for.
	Unasked Nothing

	// Clear is what they hold where it was, and found nothing.
	Clear Nothing

	// Lifetime is how long after its start a session is known; 0 is for ever.
	Lifetime time.Duration

	// Readable is how long after its outcome a session is known; 0 is for ever.
	Readable time.Duration
}

// Nothing is how a server says that there are no records.
type Nothing int

// The ways of saying nothing. The documentation calls the fields objects and
// shows an empty list.
const (
	EmptyList Nothing = iota // []
	EmptyMap                 // {}
	Null                     // null
	Absent                   // no such field
)

// raw is the field's value, nil where there is none.
func (n Nothing) raw() json.RawMessage {
	return [...]json.RawMessage{
		EmptyList: json.RawMessage("[]"),
		EmptyMap:  json.RawMessage("{}"),
		Null:      json.RawMessage("null"),
		Absent:    nil,
	}[n]
}
