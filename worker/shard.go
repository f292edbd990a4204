package worker

import (
	"context"
	"sync"
	"time"

	"github.com/identwatch/identwatch/internal/deliver"
	"github.com/identwatch/identwatch/internal/follow"
	"github.com/identwatch/identwatch/internal/lease"
	"github.com/identwatch/identwatch/internal/queue"
	"github.com/identwatch/identwatch/internal/remove"
	"github.com/identwatch/identwatch/internal/repair"
	"github.com/identwatch/identwatch/internal/session"
	"github.com/identwatch/identwatch/internal/taskserver"
)

// shard is all that works on the sessions of one shard. Nothing in it waits for another
// shard, whose Redis may be away.
type shard struct {
	session.Shard
	follower *follow.Follower
	repairer *repair.Repairer
	patience *taskserver.Patience // notes come first when Redis is back
	watch    *taskserver.Watch
	servers  []*taskserver.Server // of the follow, deliver and remove tasks
}

// of is the shard of a session.
func (w *Worker) of(id string) *shard { return w.shards[w.layout.Of(id).Number()] }

// part is a shard's part of what the process may do at once.
func (w *Worker) part(total int) int {
	n := w.layout.Count()
	return max((total+n-1)/n, min(total, 4))
}

func (w *Worker) newShard(of session.Shard) *shard {
	o := w.opts
	n := of.Number()
	following, delivering, removing := w.queues[0].All()[n], w.queues[1].All()[n], w.queues[2].All()[n]
	sh := &shard{Shard: of, patience: new(taskserver.Patience)}
	sh.follower = follow.New(follow.Options{
		Tasks: following, Records: w.records.HeldBy(w.holder), Lease: o.Lease, Limit: w.part(o.FollowLimit), Accounts: len(w.accounts),
		Polls: w.part(o.PollWorkers), Posts: w.part(o.DeliveryConcurrency), Hands: w.part(handWorkers), Removals: w.part(removeWorkers), Log: w.log,
	})
	var stray *lease.Queue // one shard looks after it
	if n == 0 && w.layout.Count() > 1 {
		stray = lease.NewQueue(o.Redis, queue.Follow)
	}
	sh.repairer = repair.New(repair.Options{
		Queues: []repair.Queue{
			{Tasks: following, LongestPause: maxLease, Spread: time.Second},
			{Tasks: delivering, LongestPause: deliver.LongestPause, Spread: time.Minute, Scheduled: true},
			{Tasks: removing, LongestPause: remove.LongestPause, Spread: time.Minute, Scheduled: true},
		},
		Stray: stray, Shard: of, Records: w.records, Tasks: w.tasks, Metrics: w.metrics.Repair, Log: w.log,
	})
	sh.watch = taskserver.NewWatch([]*lease.Queue{following, delivering, removing}, sh.patience, sh.repairer.Suspect)
	sh.servers = []*taskserver.Server{
		w.newServer(sh, following, followRuns, w.follow),
		w.newServer(sh, delivering, o.DeliveryConcurrency+endRuns, w.deliverer.Run),
		w.newServer(sh, removing, removeRuns, w.remover.Run),
	}
	return sh
}

// servers are those of all shards.
func (w *Worker) servers() (all []*taskserver.Server) {
	for _, sh := range w.shards {
		all = append(all, sh.servers...)
	}
	return all
}

// eachShard does something with all shards at once, and returns when all are done.
func (w *Worker) eachShard(do func(*shard)) {
	var all sync.WaitGroup
	for _, sh := range w.shards {
		all.Go(func() { do(sh) })
	}
	all.Wait()
}

// followed returns how many sessions are held, by account.
func (w *Worker) followed() map[string]int {
	sum := make(map[string]int)
	for _, sh := range w.shards {
		for account, n := range sh.follower.Counts() {
			sum[account] += n
		}
	}
	return sum
}

// handOver gives the shard's sessions to the other processes.
func (sh *shard) handOver(ctx context.Context) {
	sh.servers[0].Stop()
	sh.follower.Stop(ctx)
}

// end returns when no task of the shard runs any more.
func (sh *shard) end() {
	for _, server := range sh.servers {
		server.Stop()
		server.Wait()
	}
	sh.watch.Stop()
}
