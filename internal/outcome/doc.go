// Package outcome owns the record of a session: one Redis hash per session that
// says how far its story has gone, and beside it, for a shorter time, the sealed
// result. Only the Lua scripts of this package change it, by Redis's own clock, so
// that no two machines' clocks are compared.
//
//	(none) → following → sealed → handed → delivered | given up
//	              └────────────────────────→ cancelled
//
// and beside the state, how far the removal at MarkSign has gone. The first
// final outcome wins, and a later one is dropped. Every post first takes the
// claim, so that no two overlap.
//
// The identity result is in the record only sealed, and only until it is
// delivered, or for the redelivery window after delivery was given up. The
// package never talks to MarkSign or to a receiver, and knows nothing of asynq.
//
// To read it, begin with what a record holds (record.go) and with the walk of a
// session through it (store.go); scripts.go and scripts/lib.lua say how a script is
// run, and each method's script is in scripts/, under the method's name. Then what is
// sealed (result.go) and how (seal.go), the removal (removal.go, replica.go), given-up
// deliveries (givenup.go), answers that could not be used (salvage.go), reading
// many records at once (list.go), and who holds which session (holding.go).
package outcome
