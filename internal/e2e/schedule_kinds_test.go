//go:build unix

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// kind is one way in which something can go wrong.
type kind struct {
	name        string
	weight      int
	least, most time.Duration                           // how long it lasts
	on          func(p *plan, dice *rand.Rand) []string // what it strikes
	only        func(p *plan) bool                      // where it is possible; nil is everywhere
	sure        func(p *plan) bool                      // where every plan has one
	do          func(s *stage, f planned, dice *rand.Rand)
}

const ms = time.Millisecond

var kinds = []kind{
	{name: "kill -9", weight: 6, least: 100 * ms, most: 4 * time.Second, on: oneWorker, do: (*stage).killWorker},
	{name: "SIGSTOP", weight: 6, least: 300 * ms, most: 8 * time.Second, on: oneWorker, do: (*stage).suspendWorker},
	{name: "SIGTERM in a wave", weight: 6, least: 4 * time.Second, most: 8 * time.Second, on: everyWorker, do: (*stage).rollWorkers},
	{name: "toxic", weight: 12, least: 500 * ms, most: 6 * time.Second, on: oneWay, do: (*stage).poisonWay},
	{name: "way closed", weight: 4, least: 200 * ms, most: 5 * time.Second, on: oneWay, do: (*stage).closeWay},
	{
		name: "Redis restarts", weight: 2, least: 200 * ms, most: 4 * time.Second, on: theRedis,
		only: func(p *plan) bool { return p.redis == always || p.redis == everysec },
		sure: func(p *plan) bool { return p.redis == always || p.redis == everysec }, do: (*stage).restartRedis,
	},
	{
		name: "Redis loses its last second", weight: 3, least: 200 * ms, most: 3 * time.Second, on: theRedis,
		only: is(rollback), sure: is(rollback), do: (*stage).rollRedisBack,
	},
	{
		name: "failover", weight: 2, least: 5 * time.Second, most: 7 * time.Second, on: theRedis,
		only: is(sentinel), sure: is(sentinel), do: (*stage).failOver,
	},
	{name: "Redis takes no writes", weight: 2, least: 300 * ms, most: 6 * time.Second, on: theRedis, do: (*stage).refuseWrites},
	{name: "Redis is full", weight: 2, least: 300 * ms, most: 6 * time.Second, on: theRedis, do: (*stage).fillRedis},
	{name: "Redis is slow", weight: 2, least: 300 * ms, most: 4 * time.Second, on: theRedis, do: (*stage).slowRedis},
	{name: "asynq's leases vanish", weight: 3, least: 300 * ms, most: 6 * time.Second, on: just("leases"), do: (*stage).evictLeases},
	{name: "MarkSign", weight: 6, least: 500 * ms, most: 5 * time.Second, on: just("MarkSign"), do: (*stage).troubleMarkSign},
	{name: "receiver", weight: 8, least: 500 * ms, most: 6 * time.Second, on: just("receiver"), do: (*stage).troubleReceiver},
}

func is(redis shape) func(*plan) bool { return func(p *plan) bool { return p.redis == redis } }

func just(what string) func(*plan, *rand.Rand) []string {
	return func(*plan, *rand.Rand) []string { return []string{what} }
}

func theRedis(*plan, *rand.Rand) []string { return []string{"Redis"} }

func oneWorker(p *plan, dice *rand.Rand) []string {
	return []string{fmt.Sprintf("worker %d", dice.IntN(len(p.clocks)))}
}

func everyWorker(p *plan, _ *rand.Rand) []string {
	var all []string
	for i := range p.clocks {
		all = append(all, fmt.Sprintf("worker %d", i))
	}
	return all
}

// oneWay is a worker's way to one of the others. Behind Sentinel workers talk to
// Redis directly.
func oneWay(p *plan, dice *rand.Rand) []string {
	ends := []string{toMarkSign, toReceiver, toRedis}
	if p.redis == sentinel {
		ends = ends[:2]
	}
	return []string{fmt.Sprintf("worker %d's way to %s", dice.IntN(len(p.clocks)), ends[dice.IntN(len(ends))])}
}

// worker takes the number of the worker, and where its way leads, out of what a
// fault strikes.
func (f planned) worker() (slot int, to string) {
	_, to, _ = strings.Cut(f.on[0], "way to ")
	_, _ = fmt.Sscanf(f.on[0], "worker %d", &slot)
	return slot, to
}
