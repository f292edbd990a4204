// Package taskserver is the glue to asynq that only workers need: the server of one
// queue, what a handler returns so that its task runs again, and how the servers
// wait when there is nothing to do and when Redis refuses something.
//
// It writes no tasks, which package queue does, and it reads and writes no records.
// Nothing that a handler returns may be personal, because Redis stores its text.
//
// Read server.go, then pause.go, watch.go, patient.go, aside.go and logger.go.
package taskserver
