// Package follow holds the sessions that this process follows. A session waits in
// one heap of due times, or a goroutine of a bounded pool runs its step. There is
// no goroutine for each session.
//
// The package knows a [Step] only by its interface: what a step does, and what
// follows from it, is the business of those who make the steps. It never calls
// MarkSign or a receiver, and never touches a record.
//
// A session is leased: its task waits in asynq's retry set, due when the lease
// ends, and the follower moves that time on. When the process dies, the task comes
// due, and another process takes the session over.
//
// Read session.go (a session, its step and what comes next), follower.go (adding,
// waking, stopping), schedule.go (due sessions go to their pools), pool.go (a step
// runs), renew.go (leases), room.go (how many, and whose), end.go (the task ends).
package follow
