// Package api is identwatch's HTTP API: the sessions of an account for
// applications that are not written in Go, its OpenAPI document, and the page
// that renders it.
//
// It enqueues, reads, cancels and redelivers through packages tasks and worker,
// as the commands do, and posts test events through package webhook. It holds no
// state but its keys and what bounds each account, so that every process of the
// service can answer. What it answers, refuses and logs is public: never personal data, a key or a refused
// value.
package api
