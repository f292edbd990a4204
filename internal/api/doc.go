// Package api is identwatch's HTTP API: the sessions of an account for
// applications that are not written in Go, its OpenAPI document, and the page
// that renders it.
//
// It enqueues, reads, cancels and redelivers through packages tasks and worker,
// as the commands do, and posts test events through package webhook. It holds no
// state but its keys and what bounds each account, so that every process of the
// service can answer. What it answers, refuses and logs is public: never personal data, a key or a refused
// value.
//
// Read api.go (what callers use), serve.go (one request), operations.go (what there is), sessions.go and testevent.go
// (what each does), decode.go and object.go (what comes in), status.go and problem.go (what goes out), keys.go (who
// asks), rate.go, slots.go and outstanding.go (what an account may take), document.go and examples.go (the OpenAPI
// document), page.go, off.go (an API that is off).
package api
