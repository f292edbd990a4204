//go:build unix

package e2e

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/identwatch/identwatch/tasks"
	"github.com/identwatch/identwatch/webhook"
)

// Where a way leads.
const (
	toRedis    = "Redis"
	toMarkSign = "MarkSign"
	toReceiver = "the receiver"
)

// stage is a world that plays a plan.
type stage struct {
	*world
	plan     plan
	begun    time.Time
	healed   time.Time
	recovery time.Duration
	chronicle
	cluster *cluster // nil but behind Sentinel
	slots   []*slot
	second  *tasks.Client // of the application; the first is the world's
	aof     growth

	redisBusy sync.Mutex // held by the fault that has Redis

	mu    sync.Mutex
	mood  mood // of the receiver
	told  map[string][]webhook.Event
	taken map[string]*admission
}

// slot is where one worker runs, and after its death the next.
type slot struct {
	clock time.Duration
	busy  sync.Mutex // held by the fault that has the worker

	release int // what the next worker runs with; guarded by busy

	mu   sync.Mutex
	p    *process
	ways map[string]*way
}

func (sl *slot) now() (*process, map[string]*way) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	return sl.p, sl.ways
}

func newStage(t *testing.T, p plan) *stage {
	t.Helper()
	s := &stage{plan: p, told: make(map[string][]webhook.Event), taken: make(map[string]*admission)}
	s.chronicle.begun, s.releases = time.Now(), p.releases
	debug := []string{"--enable-debug-command", "yes", "--appendonly", "yes", "--aof-timestamp-enabled", "yes"}
	switch p.redis {
	case sentinel:
		s.cluster = newCluster(t, debug...)
		s.world = newWorldOn(t, s.cluster.nodes[0], s.cluster.client())
	case always:
		s.world = newWorld(t, append(debug, "--appendfsync", "always")...)
	case everysec, rollback:
		s.world = newWorld(t, append(debug, "--appendfsync", "everysec")...)
	}
	s.receiver.script = s.answer
	s.second = s.secondClient()
	var ready sync.WaitGroup
	for _, clock := range p.clocks {
		s.slots = append(s.slots, &slot{clock: clock})
	}
	for i := range s.slots {
		ready.Go(func() { s.startWorker(i) })
	}
	ready.Wait()
	if t.Failed() { // of a worker that could not be started
		t.FailNow()
	}
	for _, sl := range s.slots {
		worker, _ := sl.now()
		worker.awaitReady()
	}
	return s
}

// secondClient is another part of the application, which reaches Redis by itself.
func (s *stage) secondClient() *tasks.Client {
	client, err := tasks.NewClient(tasks.ClientConfig{RedisURL: s.redisURL(), Retention: s.plan.retention})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (s *stage) redisURL() string {
	if s.cluster != nil {
		return s.cluster.url()
	}
	return s.redis.URL()
}

// startWorker starts the next worker of a slot, with ways of its own.
func (s *stage) startWorker(i int) *process {
	sl := s.slots[i]
	with := s.plan.releases[sl.release]
	s.mu.Lock()
	p := s.prepare(append(with.environment(), "REDIS_URL="+s.redisURL())...)
	s.mu.Unlock()
	s.runs(p.name, with)
	ways := map[string]*way{
		toMarkSign: s.reroute(p, "MARKSIGN_URL", toMarkSign),
		toReceiver: s.reroute(p, "CALLBACK_URL", toReceiver),
	}
	if s.cluster == nil {
		ways[toRedis] = s.reroute(p, "REDIS_URL", toRedis)
	}
	if sl.clock != 0 {
		p.runWithClock(sl.clock)
	}
	p.start()
	sl.mu.Lock()
	sl.p, sl.ways = p, ways
	sl.mu.Unlock()
	s.say("worker %d is %s from now on, of release %d", i, p.name, sl.release)
	return p
}

// reroute makes a URL in a process's environment lead through a way of its own.
func (s *stage) reroute(p *process, setting, to string) *way {
	u, err := url.Parse(p.setting(setting))
	if err != nil {
		s.t.Fatal(err)
	}
	way := newWay(s.t, p.name+" to "+to, u.Host)
	u.Host = way.addr()
	p.cmd.Env = append(p.cmd.Env, setting+"="+u.String())
	return way
}

// play lets everything happen that is planned, and returns when it has.
func (s *stage) play() {
	s.begun = time.Now()
	s.chronicle.begun = s.begun
	stop := s.watchRedisFiles()
	var all sync.WaitGroup
	for _, v := range s.plan.visits {
		all.Go(func() { s.visit(v) })
	}
	for _, f := range s.plan.faults {
		all.Go(func() {
			pass(time.Until(s.begun.Add(f.at)))
			f.kind.do(s, f, f.dice(s.plan.seed))
		})
	}
	all.Wait()
	stop()
}

// lasting notes a fault, waits for as long as it lasts, and ends it.
func (s *stage) lasting(f planned, end func(), incidents ...*incident) {
	pass(f.lasts)
	end()
	for _, in := range incidents {
		s.over(in)
	}
	s.say("%s %v is over", f.kind.name, f.on)
}

func (s *stage) describe(f planned, particulars string, args ...any) {
	s.say("%s %v: %s", f.kind.name, f.on, fmt.Sprintf(particulars, args...))
}
