// Package hosts decides when an event may be posted to its receiver's host. It
// bounds the posts that are under way to a host and in all, opens the circuit of a
// host that keeps failing, and keeps the list of the events that wait. To each
// account a host is one of its own, so that none can stop another's events; the
// caller makes the names.
//
// An event that may not be posted now joins the list, and its Post is called when
// its turn has come: a slot is free, its pause is over, the circuit asks for a
// probe, or the host is back. The oldest outcome goes first. Nobody polls.
//
// The list is this process's memory and nothing more. What is in it is also a task
// in Redis with a due time of its own, which brings the event if this process dies.
// The package knows nothing of Redis, tasks or HTTP, and never posts itself.
//
// Read hosts.go (what callers use), permit.go (what a post tells), circuit.go (one
// host: circuit, ramp, who may go), serve.go (turns and timers), list.go (the order),
// room.go (how many may wait).
package hosts
