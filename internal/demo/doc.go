// Package demo is identwatch whole in one process, with nothing to install: an
// embedded Redis, a simulated MarkSign, a receiver that verifies each event, and
// the worker, which talk to each other over real connections on the loopback
// address. An application of its own starts sessions of invented persons.
//
// [Run] shows how each session goes, and at the end holds what the simulator and
// the receiver saw against what identwatch promises (audit.go).
package demo
