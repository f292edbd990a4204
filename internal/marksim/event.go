package marksim

import "time"

// Kind is what happened at the simulator.
type Kind string

// The kinds of events.
const (
	Started       Kind = "started"        // a session was started
	StartRefused  Kind = "start_refused"  // it was not: the answer is an error
	Polled        Kind = "polled"         // a poll got an answer that is not final
	Final         Kind = "final"          // a poll got the session's outcome
	Removed       Kind = "removed"        // a session was removed
	RemoveRefused Kind = "remove_refused" // it was not: the answer is an error
	Faulted       Kind = "faulted"        // a call of any kind met a fault
)

// Event tells what happened. It holds nothing personal.
type Event struct {
	Kind   Kind
	Call   Calls  // the kind of the call
	Token  string // "" for a start without a session
	At     time.Time
	Answer string // in short: "waiting", "ok", "error 40020", "HTTP 502", "cut: ok"
}
