// Package lease is the one package that knows asynq's keys in Redis, as asynq
// v0.26 lays them out; a test pins them.
//
// A followed session's task waits in asynq's retry set, due when its holder's
// lease ends. [Queue.Renew] moves that time on, [Queue.Release] makes tasks run now,
// and [Queue.Finish] ends them. [Queue.Sweep] puts tasks back that a dead worker left active, long
// before asynq's own recovery would, and [Queue.MendOrphans] those that are in
// no list of asynq's at all.
//
// Begin with queue.go and queues.go, then read finish.go and sweep.go. What only looks at a queue is in look.go, sizes.go,
// outstanding.go and unfinished.go. The scripts are in scripts/, under the names of the
// methods that run them, and scripts.go loads them.
//
// The package knows nothing of sessions, outcomes or receivers.
package lease
