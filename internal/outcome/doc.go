// Package outcome owns the record of a session: one Redis hash per session that
// says how far its story has gone, and beside it, for a shorter time, the sealed
// result. It is changed only by the few Lua scripts of
// this package, with Redis's own clock, so that no two machines' clocks are
// compared.
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
package outcome
