package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/session"
)

// kinds are the queues that every worker serves, of each shard.
var kinds = []string{queue.Follow, queue.Deliver, queue.Remove}

// staff says who works on the queues, as asynq knows it: a worker that dies is
// counted for some seconds more.
type staff struct {
	shards  session.Shards
	workers map[string]int // by queue
	paused  map[string]bool
}

// askWorkers is told whether all masters answer: if one does not, it may have what some
// workers say of themselves, and nobody can say which queues they serve.
func askWorkers(ctx context.Context, rdb redis.UniversalClient, shards session.Shards, allAnswer bool) finding {
	s, err := within(ctx, func(context.Context) (staff, error) { return countWorkers(rdb, shards) })
	switch {
	case err != nil && !allAnswer:
		return failedBy(err, "see that each master runs and has a replica")
	case err != nil:
		return failedBy(err, "let REDIS_URL name a primary, and a user that may run scripts")
	}
	f := finding{OK, "1 worker runs", ""}
	if n := s.count(); n != 1 {
		f.detail = fmt.Sprint(n, " workers run")
	}
	var advice []string
	switch idle := s.idle(); {
	case !allAnswer:
		f.detail += ", as far as the masters that answer know"
	case len(idle) == len(kinds)*shards.Count():
		f.detail = "no worker runs, so sessions wait"
		advice = append(advice, "start 'identwatch serve'")
	case len(idle) > 0:
		f.detail += ", and none serves " + s.name(idle, " and ")
		advice = append(advice, "start 'identwatch serve' anew")
	}
	if paused := s.all(func(queue string) bool { return s.paused[queue] }); len(paused) > 0 {
		f.detail += "; paused: " + s.name(paused, ", ")
		advice = append(advice, "resume what is paused, for example under /monitor with MONITOR_WRITE=true")
	}
	if len(advice) > 0 {
		f.status, f.advice = Warning, strings.Join(advice, "; ")
	}
	return f
}

// count is how many workers there are. Each has a server for each queue of each shard.
func (s staff) count() (most int) {
	for _, n := range s.workers {
		most = max(most, n)
	}
	return most
}

// idle are the queues that nobody works on.
func (s staff) idle() []string {
	return s.all(func(queue string) bool { return s.workers[queue] == 0 })
}

// all are the queues that are so, by kind and then by shard.
func (s staff) all(is func(queue string) bool) (all []string) {
	for _, kind := range kinds {
		for _, shard := range s.shards.All() {
			if name := shard.Queue(kind); is(name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// name names queues: those of a kind together, with the numbers of their shards.
func (s staff) name(queues []string, separator string) string {
	numbers := make(map[string][]int)
	for _, queue := range queues {
		kind, n := session.SplitQueue(queue)
		numbers[kind] = append(numbers[kind], n)
	}
	var names []string
	for _, kind := range kinds {
		if of := numbers[kind]; len(of) > 0 {
			names = append(names, kind+s.of(of))
		}
	}
	return strings.Join(names, separator)
}

// of says of which shards something is. Of the only shard it says nothing.
func (s staff) of(numbers []int) string {
	switch {
	case s.shards.Count() == 1:
		return ""
	case len(numbers) == s.shards.Count():
		return " of all shards"
	}
	return " of " + nameShards(numbers)
}

// nameShards is such as "shard 3" or "shards 2, 5".
func nameShards(numbers []int) string {
	var texts []string
	for _, n := range numbers {
		texts = append(texts, strconv.Itoa(n))
	}
	if len(texts) == 1 {
		return "shard " + texts[0]
	}
	return "shards " + strings.Join(texts, ", ")
}

// countWorkers goes by what asynq's servers write every five seconds. asynq drops
// those that are gone as it lists them.
func countWorkers(rdb redis.UniversalClient, shards session.Shards) (staff, error) {
	inspector := asynq.NewInspectorFromRedisClient(queue.Known(rdb, shards))
	servers, err := inspector.Servers()
	if err != nil {
		return staff{}, err
	}
	s := staff{shards: shards, workers: make(map[string]int)}
	ours := s.all(func(string) bool { return true })
	for _, server := range servers {
		for queue := range server.Queues {
			if slices.Contains(ours, queue) {
				s.workers[queue]++
			}
		}
	}
	known, err := inspector.Queues() // none before the first worker has run
	if err != nil {
		return staff{}, err
	}
	s.paused = findPaused(inspector, slices.DeleteFunc(ours, func(queue string) bool { return !slices.Contains(known, queue) }))
	return s, nil
}

// findPaused looks at all queues at once. One whose master does not answer is not
// known to be paused.
func findPaused(inspector *asynq.Inspector, queues []string) map[string]bool {
	var mu sync.Mutex
	paused := make(map[string]bool)
	var all sync.WaitGroup
	for _, queue := range queues {
		all.Go(func() {
			info, err := inspector.GetQueueInfo(queue)
			mu.Lock()
			defer mu.Unlock()
			paused[queue] = err == nil && info.Paused
		})
	}
	all.Wait()
	return paused
}
