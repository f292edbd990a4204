package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"github.com/identwatch/identwatch/internal/outcome"
	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// live plays the schedule, mends everything, waits for the end of all sessions, and
// stops the workers.
func (w *simWorld) live() {
	w.base = time.Now()
	for _, s := range w.plan.Steps {
		time.Sleep(time.Until(w.base.Add(s.at)))
		w.play(s)
	}
	w.mend()
	w.settle()
	w.stopAll()
}

func (w *simWorld) worker(slot int) *simProcess {
	if p := w.slots[slot]; p != nil && p.isAlive() {
		return p
	}
	return nil
}

// play does one step. What has nobody to happen to does not happen.
func (w *simWorld) play(s simStep) {
	p, v := w.worker(s.slot), w.nth(s.n)
	switch {
	case s.do == "start":
		if p == nil {
			w.start(s.slot, s.settings)
		}
	case s.do == "enqueue":
		w.enqueue(s.visit)
	case s.do == "pause":
		w.pause(s)
	case w.playWorker(s, p), w.playTokens(s, p), w.playSurroundings(s):
	case v != nil:
		w.playSession(s, v)
	}
}

func (w *simWorld) playWorker(s simStep, p *simProcess) bool {
	switch {
	case s.do != "kill" && s.do != "stop" && s.do != "suspend" && s.do != "trap":
		return false
	case p == nil && s.do == "trap":
		trap := s.trap
		w.laid[s.slot] = append(w.laid[s.slot], &trap) // for the next
	case p == nil:
	case s.do == "kill":
		p.kill()
	case s.do == "stop":
		go p.stop()
	case s.do == "suspend":
		p.freeze(s.lasts)
	default:
		trap := s.trap
		p.mu.Lock()
		p.traps = append(p.traps, &trap)
		p.mu.Unlock()
	}
	return true
}

func (w *simWorld) playSurroundings(s simStep) bool {
	switch s.do {
	case "receiver":
		host := w.hosts[simHosts[s.host]]
		w.lasting(s, w.log.note(receiverIll, host.name), func() { host.set(s.mood) }, func() { host.set(simMood{}) })
	case "MarkSign":
		sim := w.markSigns[s.account]
		w.lasting(s, w.log.note(markSignIll, simAccounts[s.account]), func() { sim.SetFaults(s.faults) }, func() { sim.SetFaults() })
	case "Redis":
		w.lasting(s, w.log.note(redisIll, ""), func() { w.redis.falls(s.ill) }, func() { w.redis.recovers(s.ill) })
	case "a shard is away":
		w.log.count("a shard was away")
		w.lasting(s, w.log.note(redisIll, s.tag()), func() { w.redis.leaves(s.tag(), s.absence) }, func() { w.redis.returns(s.tag()) })
	case "a worker with other shards":
		w.startStranger(s.settings)
	case "Redis loses":
		w.loseTheLast(s.lasts, s.away)
	case "Redis's clock":
		w.log.moment(clockMoved, "")
		w.log.say("Redis's clock is %v apart", s.lasts)
		w.redis.setSkew(s.lasts)
	case "bad task":
		w.plant(s)
	case "refused":
		w.refuse(s)
	case "asynq's leases vanish":
		w.log.moment(redisIll, "")
		w.loseLeases()
	default:
		return false
	}
	return true
}

// lasting begins what ends after a while, or when everything is mended.
func (w *simWorld) lasting(s simStep, in *simIncident, begin, end func()) {
	w.log.say("%s", s)
	begin()
	time.AfterFunc(s.lasts, func() {
		if w.isMended() {
			return
		}
		end()
		w.log.over(in)
	})
}

func (w *simWorld) isMended() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.healed.IsZero()
}

// pause is a time without workers.
func (w *simWorld) pause(s simStep) {
	w.log.say("%s", s)
	for _, p := range w.processes {
		p.kill()
	}
	if s.lasts > 24*time.Hour && !w.plan.Always { // for as long no seal says where an event goes
		for _, v := range w.all() {
			w.rewrite(v, simQueues, true)
		}
	}
	time.Sleep(s.lasts)
	w.base = w.base.Add(s.lasts)
	w.start(0, s.settings)
}

func (w *simWorld) playSession(s simStep, v *simVisit) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	switch s.do {
	case "forget":
		v.forgotten = w.markSigns[v.account].Forget(v.token) || v.forgotten
	case "cancel":
		if at := w.cancel(ctx, s, v); !at.IsZero() {
			v.canceled = at
			w.log.say("%s is cancelled %s", v.token, s.how)
		}
	case "enqueue again":
		if w.isOver(v) {
			return
		}
		if err := w.clients[0].Enqueue(ctx, v.session()); err != nil && !errors.Is(err, tasks.ErrDuplicate) {
			w.log.say("enqueueing %s again: %v", v.token, err)
		}
	case "run":
		if v.ranOver.IsZero() && w.isTold(v) && w.hasTask(v, simQueues...) { // until asynq's janitor comes
			v.ranOver = time.Now()
			w.log.say("an operator runs %s, which is over", v.token)
		}
		for _, queue := range simQueues {
			_ = w.tasks.RunTask(v.shard.Queue(queue), v.id())
		}
	case "delete":
		if err := w.tasks.DeleteTask(v.shard.Queue(simFollow), v.id()); err == nil {
			v.deleted = true
			w.log.say("the task of %s is deleted", v.token)
		}
	case "redeliver":
		if w.redeliver(ctx, s, v) {
			v.again++
			w.log.say("%s is delivered again %s", v.token, s.how)
		}
	case "evict":
		w.evict(s, v)
		return
	case "rewrite":
		queues := simQueues[1:]
		if w.plan.Always {
			queues = simQueues
		}
		if v.host >= 0 && (w.plan.Always || w.redis.mini.Exists(v.sealed())) {
			w.rewrite(v, queues, false)
		}
		return
	}
	w.log.moment(operatorDid, v.token)
}

// cancel returns when the session was cancelled, the zero time if it was not.
func (w *simWorld) cancel(ctx context.Context, s simStep, v *simVisit) time.Time {
	if s.how != byHalf {
		status, err := w.admin.Cancel(ctx, v.name())
		if err != nil {
			return time.Time{}
		}
		return status.EndedAt
	}
	task, err := w.tasks.GetTaskInfo(v.shard.Queue(simFollow), v.id())
	if err != nil || w.record(v).State == outcome.None && (task.State == asynq.TaskStateCompleted || task.State == asynq.TaskStateArchived || len(task.Result) > 0) {
		return time.Time{}
	}
	change, err := w.records().Cancel(ctx, outcome.Session{ID: v.id(), Retention: w.plan.Retention}, outcome.RemovalHanded)
	if err != nil || !change.Applied {
		return time.Time{}
	}
	return change.Record.Ended
}

func (w *simWorld) redeliver(ctx context.Context, s simStep, v *simVisit) bool {
	if s.how != byHalf {
		return w.admin.Redeliver(ctx, v.name()) == nil
	}
	change, err := w.records().Redeliver(ctx, outcome.Session{ID: v.id()})
	return err == nil && change.Applied
}

func (w *simWorld) records() *outcome.Store {
	return outcome.NewStore(outcome.Config{Redis: w.rdb, Shards: w.shards})
}

// evict has Redis lose a session's record, its sealed result or both, and nothing of
// its tasks.
func (w *simWorld) evict(s simStep, v *simVisit) {
	key := v.key()
	if s.how == evictsSealed {
		w.evictSealed(v, key+":sealed")
		return
	}
	if !w.redis.mini.Exists(key) {
		return
	}
	w.redis.mini.Del(key)
	if s.how == evictsBoth {
		w.redis.mini.Del(key + ":sealed")
	}
	in := w.log.note(redisLost, v.token)
	w.log.mu.Lock()
	in.tokens, in.to = map[string]bool{v.token: true}, time.Now()
	w.log.mu.Unlock()
	w.log.sawRecord(w.redis, nil, key, true)
	v.evicted = true
	if w.hasTask(v, simDeliver, simRemove) {
		v.further = time.Now()
	}
	w.log.say("Redis evicts %s of %s", s.how, v.token)
}

// evictSealed leaves alone what an intruder rewrote, unless all workers want signed
// tasks: without them the event is made again for where its task says.
func (w *simWorld) evictSealed(v *simVisit, key string) {
	if !w.redis.mini.Exists(key) || v.rewritten && !w.plan.Always {
		return
	}
	w.redis.mini.Del(key)
	v.unsealed = true
	w.log.moment(sealedLost, v.token)
	w.log.say("Redis evicts the sealed result of %s", v.token)
}

// isOver reports whether a session ended and Redis knows no more of it.
func (w *simWorld) isOver(v *simVisit) bool {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	return !w.redis.mini.Exists(v.key()) && slices.ContainsFunc(w.log.records[v.token], func(x simChange) bool {
		return outcome.State(x.state).MayRemove() && outcome.Removal(x.removal).IsOver()
	})
}

// isTold reports whether the last that Redis knew of a session was that its story is told
// whole, and it knows no more of it.
func (w *simWorld) isTold(v *simVisit) bool {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	for _, x := range slices.Backward(w.log.records[v.token]) {
		if x.state != "" {
			return !w.redis.mini.Exists(v.key()) && outcome.State(x.state).MayRemove() && outcome.Removal(x.removal).IsOver()
		}
	}
	return false
}

// mend ends everything that is wrong, and makes sure that somebody works.
func (w *simWorld) mend() {
	w.mu.Lock()
	w.healed = time.Now()
	w.mu.Unlock()
	w.log.say("everything is mended")
	w.redis.falls(redisWell)
	w.redis.returnAll()
	for _, sim := range w.markSigns {
		sim.SetFaults()
	}
	for _, host := range w.hosts {
		host.set(simMood{})
	}
	alive := false
	for _, p := range w.processes {
		p.thaw()
		p.mu.Lock()
		p.traps = nil
		clear(p.cuts)
		p.mu.Unlock()
	}
	for slot := range w.slots {
		alive = alive || w.worker(slot) != nil
	}
	w.log.mu.Lock()
	for _, in := range w.log.incidents {
		if in.what != stopCutShort && (in.to.IsZero() || in.to.After(w.healed)) {
			in.to = w.healed
		}
	}
	w.log.mu.Unlock()
	clear(w.laid[:])
	w.mendTokens()
	w.apps.Wait()
	if !alive {
		w.start(0, w.plan.Last)
	}
	for _, v := range w.all() {
		w.rewrite(v, simQueues, true)
		if v.lost = v.lost || !w.knows(v) && !v.deleted && !w.isOver(v); v.lost { // the application learns of it, and begins again
			w.insist(v)
		}
	}
}

// enqueueForgotten enqueues again what Redis lost and a worker, which still had it in
// hand, has forgotten since.
func (w *simWorld) enqueueForgotten() {
	for _, v := range w.all() {
		if v.lost && !w.knows(v) {
			w.insist(v)
		}
	}
}

// knows reports whether Redis has anything of a session.
func (w *simWorld) knows(v *simVisit) bool {
	return w.hasTask(v, simQueues...) || w.redis.mini.Exists(v.key())
}

func (w *simWorld) hasTask(v *simVisit, queues ...string) bool {
	return slices.ContainsFunc(queues, func(queue string) bool { return w.redis.mini.Exists(v.task(queue)) })
}

const (
	// simHaste is from when on an operator runs what waits for its next try, which
	// spares the long pauses, and simPatience for how long the end is waited for.
	simHaste    = 12 * time.Second
	simPatience = 13 * time.Minute // tasks in no list are looked for each ten minutes
)

func (w *simWorld) settle() {
	for time.Since(w.healed) < simPatience {
		time.Sleep(time.Second)
		if len(w.unfinished()) == 0 {
			return
		}
		w.enqueueForgotten()
		if since := time.Since(w.healed); since > simHaste && int(since/time.Second)%2 == 0 {
			w.hurry()
		}
		if w.nobodyWorks() { // its stop came late
			w.start(0, w.plan.Last)
		}
	}
	for _, what := range w.unfinished() {
		w.accuse("1: nothing is lost", sessionIn([]string{"", what}), "%v after everything was mended: %s", simPatience, what)
	}
}

func (w *simWorld) nobodyWorks() bool {
	for slot := range w.slots {
		if w.worker(slot) != nil {
			return false
		}
	}
	return true
}

func (w *simWorld) hurry() {
	for _, queue := range simQueues[1:] {
		for _, v := range w.all() {
			if info, err := w.tasks.GetTaskInfo(v.shard.Queue(queue), v.id()); err == nil && (info.State == asynq.TaskStateRetry || info.State == asynq.TaskStateScheduled) && !w.isKept(v) {
				_ = w.tasks.RunTask(v.shard.Queue(queue), v.id())
			}
		}
	}
}

// isKept reports whether a session stays at MarkSign for an operator to look at.
func (w *simWorld) isKept(v *simVisit) bool {
	return w.redis.mini.HGet(v.key(), "reason") == outcome.KeptReason && w.record(v).State.MayRemove() && w.redis.mini.HGet(v.key(), "kept") != ""
}

func (w *simWorld) record(v *simVisit) outcome.Record {
	r, err := outcome.NewStore(outcome.Config{Redis: w.rdb.calm, Shards: w.shards}).Read(context.Background(), outcome.Session{ID: v.id()})
	if err != nil {
		w.accuse("the record", v.token, "%v", err)
	}
	return r
}

// unfinished are the tasks that wait or run, and the sessions that have no end. A task
// may be archived if its record was evicted, or has expired because all is over.
func (w *simWorld) unfinished() (left []string) {
	left = w.unjudged()
	for _, v := range w.all() {
		if w.isUntellable(v) {
			continue
		}
		get := func(field string) string { return w.redis.mini.HGet(v.key(), field) }
		state := outcome.State(get("state"))
		gone := state == outcome.None && (v.evicted || w.isOver(v))
		if !v.deleted && !gone && !state.MayRemove() || state == outcome.Redelivering {
			left = append(left, fmt.Sprintf("%s has no end: its record says %q", v.token, state))
		}
		for _, queue := range simQueues {
			task := v.task(queue)
			if !w.redis.mini.Exists(task) || queue == simRemove && w.isKept(v) {
				continue
			}
			if s := w.redis.mini.HGet(task, "state"); s != "completed" && (s != "archived" || !v.evicted && !w.isTold(v)) {
				left = append(left, fmt.Sprintf("the task %s of %s is %s", v.token, queue, s))
			}
		}
	}
	return left
}

// isUntellable reports whether the sealed result of an event that waits is gone, because
// Redis lost it or nobody was there for a day longer than its window, and MarkSign has
// forgotten the session: then its event is tried until the window of who works now is over.
func (w *simWorld) isUntellable(v *simVisit) bool {
	key := v.key()
	final := time.UnixMilli(int64(toNumber(w.redis.mini.HGet(key, "final"))))
	return v.forgotten && (v.unsealed || time.Since(final) > 24*time.Hour) && !w.redis.mini.Exists(key+":sealed") &&
		w.redis.mini.HGet(key, "state") == string(outcome.Handed) && w.redis.mini.HGet(key, "reason") != webhook.ReasonNotFound
}

// stopAll stops every worker, and waits until nothing of them is left.
func (w *simWorld) stopAll() {
	cut := false
	for _, p := range w.processes {
		if !p.isAlive() {
			cut = true
			continue
		}
		begun := time.Now()
		p.stop()
		if took := time.Since(begun); took > p.with.delivery+4*time.Second {
			w.accuse("the stop", "", "%s took %v to stop", p.name, took)
		}
		// A stop that began before everything was mended may have waited for a shard.
		if p.err != nil && w.log.find(w.log.begun, w.healed, []string{p.name}, wasStopped) == nil {
			w.accuse("the stop", "", "%s stopped with %v, though all was well", p.name, p.err)
		}
	}
	for _, p := range w.processes {
		<-p.done
		cut = cut || p.err != nil
	}
	if cut {
		time.Sleep(3 * time.Minute) // until what a stop left behind has ended
	}
}

// close ends the world's own goroutines.
func (w *simWorld) close() {
	for _, p := range slices.Concat(w.processes, w.strangers) {
		_ = p.rdb.Close()
	}
	_ = w.rdb.Close()
	w.redis.mini.Close()
	time.Sleep(5 * time.Second) // until go-redis's own goroutines see that they are closed
}
