// Package tasks is what applications import: the [Session] to enqueue, the
// [Client] that enqueues it, and, for those who hold an asynq.Client already,
// the plain asynq tasks with their fixed options.
//
// It never talks to MarkSign or to a receiver, and nothing that it writes holds
// personal data: a payload carries the session token, the callback URL and the
// application's reference, and all three are public to whoever reads the queue.
package tasks
