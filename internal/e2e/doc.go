// Package e2e holds the tests of identwatch as it is run: real processes of the
// command on a real redis-server, a simulated MarkSign and a receiver over HTTP,
// and everything that can go wrong between them. It has no code of its own, and
// nobody imports it.
//
// TestSchedules draws its faults from a seed: -schedules says how many worlds it
// plays, and -seed which is the first. With -v it sums up what happened.
//
// Without a redis-server on the PATH the tests are skipped, and with -short
// those that take long.
package e2e
