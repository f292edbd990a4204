// Package worker is the engine: it follows sessions until they are final, posts
// the event to the application's receiver, and removes the session at MarkSign.
//
// It only puts the parts together, and holds the table of what a session does after
// each step. The parts are the packages that parts.go imports; docs/architecture.md
// walks one token through them.
//
// Read options.go and worker.go (what callers use), parts.go (the parts), shard.go
// (what there is once for each shard), follow.go
// (the task session:follow, and where a session goes on), steps.go (the states of a
// session in memory, and what follows what), accounts.go.
//
// The package never reads the environment, and nothing personal leaves it except in
// the event that is posted.
package worker
