// Package tasks is what applications import: the [Session] to enqueue, the
// [Client] that enqueues sessions, says how they stand and cancels them, and, for
// those who hold an asynq.Client already, the plain asynq tasks with their fixed
// options.
//
// It never talks to MarkSign or to a receiver, and nothing that it writes holds
// personal data: a payload carries the session token, the callback URL and the
// application's reference, and all three are public to whoever reads the queue.
//
// Read session.go and client.go, then enqueue.go, many.go and status.go. task.go and
// key.go make tasks, redis.go opens a Redis, and trouble.go words what is wrong with it.
package tasks
