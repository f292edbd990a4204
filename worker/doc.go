// Package worker is the engine: it follows sessions until they are final, posts
// the event to the application's receiver, and removes the session at MarkSign.
//
// The way of one job is a straight line. [tasks.Client.Enqueue] puts a task
// session:follow into Redis; its handler (follow.go) gives the session to the
// follower (follower.go), which polls it (poll.go), posts the event (post.go),
// removes the session (remove.go) and brings the task to its end (end.go). What
// a step cannot do at once goes to webhook:deliver or session:remove.
//
// The task is a lease: while a session is followed its task waits in asynq's
// retry set, due when the lease ends, and the holder moves that time on
// (renew.go). When the holder dies the task comes due, and whoever runs it takes
// the session over from where its record says it stands.
//
// What people and applications ask of sessions from outside is package admin's. It
// leaves notes in records, and if it died before the task was there too, the workers
// make it (redeliver.go).
//
// The package never reads the environment, and nothing personal leaves it but
// in the event that is posted.
package worker
