package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/identwatch/identwatch/internal/queue"
)

// queues are those that every worker serves.
var queues = []string{queue.Follow, queue.Deliver, queue.Remove}

// staff says who works on the queues, as asynq knows it: a worker that dies is
// counted for some seconds more.
type staff struct {
	workers map[string]int // by queue
	paused  []string       // queues
}

func askWorkers(ctx context.Context, rdb redis.UniversalClient) finding {
	s, err := within(ctx, func(context.Context) (staff, error) { return countWorkers(rdb) })
	if err != nil {
		return failedBy(err, "let REDIS_URL name a primary, and a user that may run scripts")
	}
	f := finding{OK, "1 worker runs", ""}
	if n := s.workers[queue.Follow]; n > 1 {
		f.detail = fmt.Sprint(n, " workers run")
	}
	var advice []string
	if idle := s.idle(); len(idle) == len(queues) {
		f.detail = "no worker runs, so sessions wait"
		advice = append(advice, "start 'identwatch serve'")
	} else if len(idle) > 0 {
		f.detail += ", and none serves " + strings.Join(idle, " and ")
		advice = append(advice, "start 'identwatch serve' anew")
	}
	if len(s.paused) > 0 {
		f.detail += "; paused: " + strings.Join(s.paused, ", ")
		advice = append(advice, "resume what is paused, for example under /monitor with MONITOR_WRITE=true")
	}
	if len(advice) > 0 {
		f.status, f.advice = Warning, strings.Join(advice, "; ")
	}
	return f
}

// idle are the queues that nobody works on.
func (s staff) idle() (idle []string) {
	for _, queue := range queues {
		if s.workers[queue] == 0 {
			idle = append(idle, queue)
		}
	}
	return idle
}

// countWorkers goes by what asynq's servers write every five seconds. asynq drops
// those that are gone as it lists them.
func countWorkers(rdb redis.UniversalClient) (staff, error) {
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	servers, err := inspector.Servers()
	if err != nil {
		return staff{}, err
	}
	s := staff{workers: make(map[string]int)}
	for _, server := range servers {
		for queue := range server.Queues {
			s.workers[queue]++
		}
	}
	known, err := inspector.Queues() // none before the first worker has run
	if err != nil {
		return staff{}, err
	}
	for _, queue := range queues {
		if !slices.Contains(known, queue) {
			continue
		}
		info, err := inspector.GetQueueInfo(queue)
		if err != nil {
			return staff{}, err
		}
		if info.Paused {
			s.paused = append(s.paused, queue)
		}
	}
	return s, nil
}
