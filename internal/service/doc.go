// Package service is what `identwatch serve` runs: a worker, once Redis is there and
// fit, and what is answered on LISTEN. It reads access tokens again that are in files.
//
// It reads neither the environment nor signals, and prints nothing: cmd does.
//
// Read service.go, then worker.go, pages.go and probes.go, redis.go and tokens.go.
package service
