// Package queue is the glue to asynq that all share who write tasks, applications
// among them: the types and queues of our tasks, what their payloads say and how
// those are signed, and "make sure that a task exists". Package taskserver runs tasks.
//
// It reads and writes no records, and knows nothing of MarkSign or of receivers.
// Nothing that it writes holds personal data: a payload carries the session token,
// the callback URL and the application's reference, and all three are public to
// whoever reads the queue.
//
// Read task.go, then payload.go, key.go, list.go and known.go, pipeline.go.
package queue
