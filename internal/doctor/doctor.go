// Package doctor examines what a service of identwatch needs: Redis, the clock, shards,
// workers, and for each account MarkSign, the callback and the signatures. Every
// check ends in words that are safe to show: without a secret, without a path or
// a query of a URL, without anything personal.
//
// It changes nothing. The one thing that others see of it is the test event
// that it posts to each callback.
//
// Read doctor.go (all checks), report.go (what they say), then a file for each subject: redis.go, access.go, clock.go,
// shards.go, workers.go, account.go, marksign.go, callback.go.
package doctor

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/session"
)

const (
	// callTimeout bounds one call to Redis, MarkSign or a receiver.
	callTimeout = 5 * time.Second
	// examTimeout bounds all checks together.
	examTimeout = 20 * time.Second
)

// Options say what to examine.
type Options struct {
	// Redis is the service's. The caller closes it, which also ends what a check
	// that was out of time left behind. Required.
	Redis redis.UniversalClient
	// Shards are those of the service's SHARDS. Zero: one.
	Shards session.Shards
	// Accounts are those of the service.
	Accounts []Account
	// SkipCallback posts no test event.
	SkipCallback bool
	// Progress is told whenever a check is made, by concurrent checks concurrently.
	// Nil: nobody is told.
	Progress func(made, total int)
}

// How many checks there are of the service, and of each account.
const (
	serviceChecks = 5
	accountChecks = 4
)

// Examine makes all checks, those of Redis and of each account at once, and
// returns them in a fixed order, within 20 s. Where ctx ended first, they say
// nothing that can be relied on.
func Examine(ctx context.Context, opts Options) []Check {
	ctx, cancel := context.WithTimeout(ctx, examTimeout)
	defer cancel()
	checks := make([]Check, serviceChecks+accountChecks*len(opts.Accounts))
	e := &exam{progress: opts.Progress, total: len(checks)}
	var all sync.WaitGroup
	all.Go(func() { e.service(ctx, opts, checks[:serviceChecks]) })
	for i, a := range opts.Accounts {
		of := checks[serviceChecks+accountChecks*i:]
		all.Go(func() { of[0] = e.check("marksign", a.Name, func() finding { return a.askMarkSign(ctx) }) })
		all.Go(func() {
			of[1] = e.check("callback", a.Name, func() finding { return a.askCallback(ctx, opts.SkipCallback) })
		})
		all.Go(func() { of[2] = e.check("signature", a.Name, a.verifyOwn) })
		all.Go(func() { of[3] = e.check("api_keys", a.Name, a.countKeys) })
	}
	all.Wait()
	return checks
}

// exam is one run of all checks.
type exam struct {
	progress func(made, total int)
	made     atomic.Int64
	total    int
}

// finding is what a check came to.
type finding struct {
	status         Status
	detail, advice string
}

// check makes one check, and says how long that took.
func (e *exam) check(name, account string, look func() finding) Check {
	began := time.Now()
	f := look()
	if made := e.made.Add(1); e.progress != nil {
		e.progress(int(made), e.total)
	}
	return Check{
		Name: name, Account: account, Status: f.status, Detail: f.detail, Advice: f.advice,
		DurationMS: time.Since(began).Milliseconds(),
	}
}
